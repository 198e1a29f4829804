"""SIGINT and SIGTERM end a run after the step it is in, with its state saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from training.trouble import TrainingTrouble


class Stopped(TrainingTrouble):
    """The run was asked to stop; its state is saved, --resume goes on."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that is set when the process is asked to stop; a second time it stops at once.

    Only the main thread hears signals; elsewhere the event is never set.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(number: int, _frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    try:
        for number in before:
            signal.signal(number, hear)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
