"""A stop has a limit: a process that does not end says what it waits for, and ends with a status of its own."""

import sys
import threading
from collections.abc import Callable, Iterable

import structlog

from dialogue.process.exit_status import ExitStatus, end_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def running_threads() -> list[str]:
    """The names of those that the interpreter waits for."""
    main = threading.main_thread()
    return sorted(one.name for one in threading.enumerate() if one is not main and not one.daemon)


class StopLimit:
    """From `begin` on, the process has so many seconds to end."""

    def __init__(self, seconds: float, *, end: Callable[[ExitStatus], object] = end_now) -> None:
        self._seconds = seconds
        self._end = end
        self._timer: threading.Timer | None = None

    def begin(self, *, waited_for: Callable[[], Iterable[str]] = list) -> None:
        """The process was told to stop; once is enough. `waited_for` names what still runs, without anybody's words."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._give_up, (waited_for,))
            self._timer.daemon = True
            self._timer.start()

    def met(self) -> None:
        """Everything has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self, waited_for: Callable[[], Iterable[str]]) -> None:
        try:
            names = [*waited_for(), *running_threads()]
            log.error("stop_took_too_long", seconds=self._seconds, waited_for=names)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            self._end(ExitStatus.STUCK)
