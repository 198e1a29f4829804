"""Keeps the tests' temporary files in memory: each commit of SQLite waits some milliseconds for a disk, for nothing.

No test loses the machine's power; what a killed process had written stays in memory as it would stay on a disk.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

_SHARED_MEMORY = Path("/dev/shm")
_NAME = "mg-"
"""Short: a socket's path has 107 bytes at most, and pytest's own directories take most of them."""
_NEEDED_BYTES = 4 * 1024**3


def use_memory() -> None:
    """From now on, for this process and its children; not where TMPDIR says otherwise or memory is short."""
    if "TMPDIR" in os.environ or not _is_fit(_SHARED_MEMORY):
        return
    _discard_those_of_dead_processes()
    directory = _SHARED_MEMORY / f"{_NAME}{os.getpid()}"
    directory.mkdir()
    directory.chmod(0o711)  # a server that is not root's passes through
    os.environ["TMPDIR"] = str(directory)
    tempfile.tempdir = None
    atexit.register(_discard_without_files, directory)


def _is_fit(directory: Path) -> bool:
    """Whether programs in it can be run, as containers forbid, and it has room for a run of the tests."""
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        return False
    system = os.statvfs(directory)
    room = min(system.f_bavail * system.f_frsize, psutil.virtual_memory().available)
    return not system.f_flag & os.ST_NOEXEC and room >= _NEEDED_BYTES


def _discard_without_files(directory: Path) -> None:
    """pytest keeps those of failed tests, to be looked at until the next run."""
    if not any(path.is_file() for path in directory.rglob("*")):
        shutil.rmtree(directory, ignore_errors=True)


def _discard_those_of_dead_processes() -> None:
    """A run that is killed leaves its files."""
    for left in _SHARED_MEMORY.glob(f"{_NAME}*"):
        pid = left.name.removeprefix(_NAME)
        with suppress(FileNotFoundError):  # another run discards it at the same time, or its own has just ended
            is_ours = left.stat().st_uid == os.geteuid()
            if is_ours and pid.isdecimal() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
