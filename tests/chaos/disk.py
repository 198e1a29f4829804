"""A small disk of its own, which can be filled. Needs the right to mount; without it nothing is ever full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEBIBYTE = 2**20


class Disk:
    """A directory whose file system may be ours alone."""

    def __init__(self, path: Path, *, is_ours: bool) -> None:
        self.path = path
        self.is_ours = is_ours
        self._filler = path / "filler"

    def fill(self) -> None:
        """Not one byte is left."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (_MEBIBYTE, 4096, 1):
                _write_until_full(file.write, b"\0" * size)

    def empty(self) -> None:
        """What filled it is gone."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def disk(path: Path, *, mebibytes: int = 768) -> Iterator[Disk]:
    """A new disk at `path`, in memory, where this user may mount one; else a plain directory."""
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0755", "tmpfs", str(path)]
    try:
        is_ours = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        is_ours = False
    try:
        yield Disk(path, is_ours=is_ours)
    finally:
        if is_ours:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def _write_until_full(write: object, block: bytes) -> None:
    assert callable(write)
    try:
        while write(block) == len(block):
            pass
    except OSError:
        return
