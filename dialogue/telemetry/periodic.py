"""A background thread that repeats its work: an error costs one round, never the thread."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from dialogue.errors import DialogueError
from dialogue.telemetry.instruments import UNMEASURED, Instruments

log: structlog.stdlib.BoundLogger = structlog.get_logger()

STOP_SECONDS: Final = 10.0
"""How long `stop` waits for the round in progress; the thread is a daemon, so the process can end without it."""


class Periodic:
    """Runs `acts` in order, at once and then every `period_seconds`, from `start` to `stop`. Starts only once.

    What an act raises is logged as `{name}_failed` and counted; the acts after it and the next round still run.
    `at_end` runs once in the thread after the last round.
    """

    def __init__(
        self,
        name: str,
        *acts: Callable[[], object],
        period_seconds: float,
        instruments: Instruments = UNMEASURED,
        at_end: Callable[[], object] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._name = name
        self._failure_event = f"{name}_failed"
        self._acts = acts
        self._period_seconds = period_seconds
        self._at_end = at_end
        self._stop_seconds = stop_seconds
        self._doing = ""
        self._failures = instruments.counter(
            "mindglm_background_failures", "Rounds of a background loop that failed.", ["loop"]
        )
        self._failures.add(0, loop=name)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Wait for the round in progress, but at most `stop_seconds`; then log what is still running and go on."""
        self._stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(self._stop_seconds)
        if self._thread.is_alive():
            log.warning(
                "background_loop_still_running",
                loop=self._name,
                waiting_for=self._doing,
                waited_seconds=self._stop_seconds,
            )

    @property
    def is_stopping(self) -> bool:
        """Long acts look at this between their parts."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> bool:
        """Sleep within an act; returns at once, and True, when the loop is being stopped."""
        return self._stopping.wait(seconds)

    def _run(self) -> None:
        while True:
            for act in self._acts:
                self._try(act)
            if self._stopping.wait(self._period_seconds):
                break
        if self._at_end is not None:
            self._try(self._at_end)

    def _try(self, act: Callable[[], object]) -> None:
        self._doing = getattr(act, "__qualname__", self._name)
        try:
            act()
        except DialogueError as error:
            self._failures.add(loop=self._name)
            log.warning(self._failure_event, error=str(error))
        except Exception as error:  # noqa: BLE001 - a thread's outermost loop: the next round may succeed
            self._failures.add(loop=self._name)
            log.error(self._failure_event, error=type(error).__name__)  # noqa: TRY400 - a traceback may hold texts
