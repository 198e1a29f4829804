"""How the time of a function grows with its text, in processor time: a loaded machine counts for little."""

import time
from collections.abc import Callable


def seconds(work: Callable[[str], object], text: str) -> float:
    """The least of three runs."""
    return min(_once(work, text) for _ in range(3))


def is_quick(work: Callable[[str], object], text: str, *, within_seconds: float) -> bool:
    """Whether one of three runs is."""
    return any(_once(work, text) <= within_seconds for _ in range(3))


def _once(work: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    work(text)
    return time.process_time() - began
