"""Hypothesis's tables of what UTF-8 can write: 3.5 seconds of processor time, spent once and kept.

Hypothesis keeps them in a folder of the current directory, which every test has of its own, so that each process that
tests made them again.
"""

import os
from pathlib import Path


class UnicodeTables:
    """In `directory`; made by a fork of this process while it collects the tests, unless they are there."""

    def __init__(self, directory: Path) -> None:
        from hypothesis.configuration import set_hypothesis_home_dir  # a run of a few tests need not load it

        set_hypothesis_home_dir(directory)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                _load()
            finally:
                os._exit(0)  # whoever finds none makes them

    def wait(self) -> None:
        """Until they are there; then read them, for all processes that are forks of this one."""
        os.waitpid(self._pid, 0)
        _load()


def _load() -> None:
    from hypothesis.internal import charmap

    charmap.charmap()
    charmap.intervals_from_codec("utf-8")
