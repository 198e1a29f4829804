"""The open requests by id, so that they can be cancelled; once the engine stops, no new one is accepted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.engine.output_collector import OutputCollector
from worker.engine.port import Cancelled


class OpenRequests:
    """Output collectors by request id; the same id may be open more than once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._collectors: dict[str, list[OutputCollector]] = {}
        self._is_open = False

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._collectors

    def __len__(self) -> int:
        return len(self._collectors)

    def open(self) -> None:
        """Accept requests from now on."""
        self._is_open = True

    def close(self) -> None:
        """Cancel the open requests and accept no more."""
        with self._lock:
            self._is_open = False
            for collectors in self._collectors.values():
                for collector in collectors:
                    collector.fail(Cancelled())

    def cancel(self, request_id: str) -> None:
        """Make the open streams of this id raise `Cancelled` at once; unknown ids are ignored."""
        with self._lock:
            for collector in self._collectors.get(request_id, ()):
                collector.fail(Cancelled())

    @contextmanager
    def opened(self, request_id: str, collector: OutputCollector) -> Iterator[None]:
        """Register the request for the block. Raises `Cancelled` if the engine is stopping."""
        with self._lock:
            if not self._is_open:
                raise Cancelled
            self._collectors.setdefault(request_id, []).append(collector)
        try:
            yield
        finally:
            with self._lock:
                self._collectors[request_id].remove(collector)
                if not self._collectors[request_id]:
                    del self._collectors[request_id]
