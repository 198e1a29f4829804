"""Which files of tests take long: learnt from a run, and kept beside this module for every machine.

    pytest --processes auto --learn-slow-files

writes anew what it finds. Where the list is old the tests take a little longer; nothing else depends on it.
"""

from collections.abc import Mapping
from pathlib import Path

LIST = Path(__file__).with_name("slow_files.txt")
_LEAST_SECONDS = 2.0


def read(file: Path = LIST) -> dict[str, float]:
    """The seconds that all tests of a file take together, by the file's path from the root."""
    lines = (line.split(maxsplit=1) for line in file.read_text("utf-8").splitlines())
    return {path: float(seconds) for seconds, path in lines}


def write(seconds: Mapping[str, float], file: Path = LIST) -> None:
    """Those of two seconds or more, sorted by name so that a change shows what changed."""
    slow = sorted(path for path, taken in seconds.items() if taken >= _LEAST_SECONDS)
    file.write_text("".join(f"{seconds[path]:4.0f} {path}\n" for path in slow), "utf-8")
