"""The machine: Python, libraries, the home, the disk."""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bot.channels import registry
from bot.channels.findings import CheckResult, fail, note, ok, warn
from dialogue.process.version import product_version
from mindglm.doctor.findings import Patient

_LEAST_PYTHON: Final = (3, 11)
_LEAST_SQLITE: Final = (3, 35)  # RETURNING
_CORE_LIBRARIES: Final = ("celery", "redis", "sqlalchemy")
_MODEL_LIBRARIES: Final = ("torch", "transformers")
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SCARCE_BYTES: Final = 2 * 2**30
_LEAST_BYTES: Final = 200 * 2**20


def examine_software(_patient: Patient) -> Iterator[CheckResult]:
    """Versions."""
    if sys.version_info < _LEAST_PYTHON:
        yield fail("python_old", version=platform.python_version())
    else:
        yield ok("python", version=platform.python_version(), system=platform.platform(terse=True))
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        yield fail("sqlite_old", version=sqlite3.sqlite_version)
    yield note("versions", product=product_version(), libraries=", ".join(_installed()))


def examine_home(patient: Patient) -> Iterator[CheckResult]:
    """Does it exist, is it ours, is it private, is there space? Creates nothing."""
    home = patient.bot.home.expanduser()
    place = _nearest(home)
    if not home.is_dir():
        yield fail("home_no_directory", home=home) if home.exists() else note("home_missing", home=home)
    if not os.access(place, os.W_OK | os.X_OK):
        yield fail("home_not_writable", home=place)
        return
    if home.is_dir():
        mode = stat.S_IMODE(home.stat().st_mode)
        yield warn("home_open", home=home, mode=f"{mode:o}") if mode & _OF_OTHERS else ok("home", home=home)
    free_bytes = shutil.disk_usage(place).free
    values = {"free": f"{free_bytes / 2**30:.1f}", "home": place}
    if free_bytes < _LEAST_BYTES:
        yield fail("disk_full", **values)
    else:
        yield warn("disk_scarce", **values) if free_bytes < _SCARCE_BYTES else ok("disk", **values)


def _installed() -> Iterator[str]:
    platforms = [name for channel in registry.platforms() for name in registry.process_of(channel).libraries]
    for name in (*_CORE_LIBRARIES, *platforms, *_MODEL_LIBRARIES):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _nearest(path: Path) -> Path:
    """The path itself, or the directory in which it would be made."""
    return path if path.exists() else _nearest(path.parent)
