"""What an image of ours holds and how a container runs it, on this machine: a wheel, and nothing to write on."""

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.services import unprivileged

ROOT = Path(__file__).parents[2]
NOWHERE = "/nonexistent"
_BUILD = "import runpy, zlib; zlib.Z_DEFAULT_COMPRESSION = 0; runpy.run_module('hatchling', run_name='__main__')"
"""The model's weights are 31 MB: to compress them takes most of the time, and they are unpacked right after."""


def build_wheel(directory: Path) -> Path:
    """The wheel, as the Dockerfile makes it, but not compressed."""
    argv = [sys.executable, "-c", _BUILD, "build", "--target", "wheel", "--directory", str(directory)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = directory.glob("*.whl")
    return wheel


def unpack(wheel: Path, directory: Path) -> Path:
    """What an installer would lay down, and nobody may write there."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    forbid_writing(directory)
    return directory


def forbid_writing(directory: Path) -> None:
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def allow_writing(directory: Path) -> None:
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)


def as_nobody_special(argv: list[str]) -> list[str]:
    """What runs `argv` without root's powers: the modes of files hold."""
    return unprivileged.in_namespace(argv) if os.geteuid() == 0 else argv


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An environment with a read-only tree, no home, and a place for its data."""

    bin: Path
    data: Path
    environment: dict[str, str]

    def start(self, argv: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            as_nobody_special([str(self.bin / argv[0]), *argv[1:]]),
            cwd="/",
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": NOWHERE, "LC_ALL": "C.UTF-8", **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *argv: str) -> str:
        """What it printed; it must have ended well."""
        process = self.start(list(argv))
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output
