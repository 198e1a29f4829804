"""Which requests are open, so that they can be cancelled by their ids, and none is opened once the engine stops."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.engine.mailbox import Mailbox
from worker.engine.port import Cancelled


class OpenRequests:
    """The open mailboxes by request id; one id may be open more than once. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mailboxes: dict[str, list[Mailbox]] = {}
        self._is_open = False

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._mailboxes

    def __len__(self) -> int:
        return len(self._mailboxes)

    def open(self) -> None:
        """Take requests from now on."""
        self._is_open = True

    def close(self) -> None:
        """Cancel what is open and take nothing any more."""
        with self._lock:
            self._is_open = False
            for mailboxes in self._mailboxes.values():
                for mailbox in mailboxes:
                    mailbox.fail(Cancelled())

    def cancel(self, request_id: str) -> None:
        """Make the open streams of this id raise `Cancelled` at once; unknown ids are ignored."""
        with self._lock:
            for mailbox in self._mailboxes.get(request_id, ()):
                mailbox.fail(Cancelled())

    @contextmanager
    def opened(self, request_id: str, mailbox: Mailbox) -> Iterator[None]:
        """Known by its id inside the block. Raises `Cancelled` if nothing is taken any more."""
        with self._lock:
            if not self._is_open:
                raise Cancelled
            self._mailboxes.setdefault(request_id, []).append(mailbox)
        try:
            yield
        finally:
            with self._lock:
                self._mailboxes[request_id].remove(mailbox)
                if not self._mailboxes[request_id]:
                    del self._mailboxes[request_id]
