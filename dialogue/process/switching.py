"""How soon a thread that holds the interpreter hands it to one that waits."""

import sys

_SECONDS = 0.0005
"""Python's own 5 ms are an eternity where an answer crosses a dozen threads: each of them may have to wait so long."""


def hand_over_soon() -> None:
    """For processes whose threads answer people."""
    sys.setswitchinterval(_SECONDS)
