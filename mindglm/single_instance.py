"""Runs a command that only one process at a time may run: it holds a file's lock for as long as it lives.

The lock passes into the command itself, so it also outlives a starter that was killed. `command` puts this file, run
by path in a bare interpreter, in front of the real command; the process id stays the same.
"""

import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

STATUS_LOCKED = 75
"""EX_TEMPFAIL: another one is still running."""

_LOOK_SECONDS = 0.01
_PREDECESSOR_SECONDS = 2.0
_PRIVATE_FILE = 0o600


def command(lock_file: Path, argv: Sequence[str]) -> list[str]:
    """What runs `argv` under the lock; it waits two seconds for a predecessor that is just ending."""
    return [sys.executable, "-I", "-S", __file__, str(lock_file), *argv]


def _main(lock_file: str, argv: list[str]) -> None:
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE)
    deadline = time.monotonic() + _PREDECESSOR_SECONDS
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            sys.exit(STATUS_LOCKED)
        time.sleep(_LOOK_SECONDS)
    os.set_inheritable(lock, True)
    os.execv(argv[0], argv)  # noqa: S606 - the list comes from `command`, and no shell sees it


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
