"""Keeps .venv in step with the locks: created once, updated when a lock changes, recreated when an install was cut off.

A stamp in .venv records what was installed; without a matching stamp nothing counts as installed.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bootstrap import torch
from bootstrap.places import LOCKS, PYTHON, ROOT, STAMP, VENV, interpreter, site_packages
from bootstrap.trouble import need_room, say
from bootstrap.uv import PipSettings, Uv

_OLDEST_PYTHON = (3, 11)


class Profile(NamedTuple):
    """The packages that a group of commands needs."""

    name: str
    extras: Sequence[str]
    download_mb: int
    disk_mb: int

    @property
    def lock(self) -> Path:
        return LOCKS / f"{self.name}.txt"


RUNTIME = Profile(
    name="runtime",
    extras=(
        "--extra=console",
        "--extra=embedded",
        "--extra=local",
        "--extra=oa",
        "--extra=openai",
        "--extra=postgres",
        "--extra=telegram",
        "--extra=wecom",
    ),
    download_mb=80,
    disk_mb=450,
)
DEVELOPMENT = Profile(
    name="dev",
    extras=("--all-extras", "--group=dev", "--constraints=requirements/runtime.txt"),
    download_mb=180,
    disk_mb=750,
)
IMAGES = {
    "bot": (
        "--extra=console",
        "--extra=oa",
        "--extra=openai",
        "--extra=postgres",
        "--extra=telegram",
        "--extra=wechat",
        "--extra=wecom",
    ),
    "worker": ("--extra=local", "--extra=openai", "--extra=postgres"),
}
"""The locks of the container images, each a subset of the development lock."""

_SATISFIES = {RUNTIME: [RUNTIME], DEVELOPMENT: [RUNTIME, DEVELOPMENT]}


def prepare(profile: Profile) -> None:
    """Install what `profile` needs into .venv; takes milliseconds if it is already there. Raises `Trouble`."""
    if is_ready(profile):
        return
    with alone():
        if not is_ready(profile):
            _install(profile)


def is_ready(profile: Profile) -> bool:
    """Whether .venv was completed for this lock, in this directory, by the Python that is still installed."""
    stamp = _read_stamp()
    return _fits(stamp) and stamp.get(profile.name) == _fingerprint(profile)


def write_locks(options: Sequence[str]) -> None:
    """Write requirements/*.txt from pyproject.toml: for every platform, with hashes, without index URLs."""
    sources = ["pyproject.toml", "requirements/torch-needs.txt", "--excludes=requirements/excludes.txt"]
    with alone():
        pip_settings = PipSettings.read()
        uv = Uv.get(pip_settings)
        for profile in (RUNTIME, DEVELOPMENT):
            uv.compile(*sources, *profile.extras, *options, output=profile.lock)
        for name, extras in IMAGES.items():
            within = f"--constraints={DEVELOPMENT.lock.relative_to(ROOT)}"
            uv.compile(*sources, *extras, within, *options, output=LOCKS / f"{name}.txt")
        for name in ("uv", "build", "security"):
            uv.compile(f"requirements/{name}.in", *options, output=LOCKS / f"{name}.txt")
        # from the index only: a local CPU wheel is not what the GPU image needs
        index = Uv.get(pip_settings._replace(wheel_directories=()))
        runtime = f"--constraints={RUNTIME.lock.relative_to(ROOT)}"
        index.compile("requirements/cuda.in", runtime, *options, output=LOCKS / "cuda.txt")


def run_security_tool(package: str, *words: str) -> int:
    """Run a program without installing it into .venv; returns its exit status. Raises `Trouble`."""
    with alone():
        uv = Uv.get(PipSettings.read())
    return uv.tool(package, *words, lock=LOCKS / "security.txt")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Only one process at a time changes .venv. It locks this source file, so no lock file is left behind."""
    with Path(__file__).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another dev.py that is preparing .venv")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(profile: Profile) -> None:
    _discard_unusable()
    pip_settings = PipSettings.read()
    build = None if torch.is_installed() else torch.choose(pip_settings)
    _announce(profile, build)
    VENV.mkdir(exist_ok=True)
    STAMP.write_text("{}")
    uv = Uv.get(pip_settings)
    uv.install_locked(profile.lock)
    if build is not None:
        torch.install(uv, build)
    # Instead of an editable install, which would have to download a build backend.
    (site_packages() / "mindglm-checkout.pth").write_text(f"{ROOT}\n")
    finished = {each.name: _fingerprint(each) for each in _SATISFIES[profile]}
    STAMP.write_text(json.dumps({"root": str(ROOT), "python": interpreter(), **finished}))
    say(".venv is ready")


def _discard_unusable() -> None:
    """Whether .venv is incomplete, was moved here, or has lost its Python; any other is updated in place."""
    if not VENV.exists() or (_works() and (not STAMP.exists() or _fits(_read_stamp()))):
        return
    say("recreating .venv: the existing one is incomplete or broken")
    shutil.rmtree(VENV)


def _works() -> bool:
    ask = f"import sys; sys.exit(sys.version_info < {_OLDEST_PYTHON})"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", ask], check=False, capture_output=True).returncode == 0


def _announce(profile: Profile, build: torch.Build | None) -> None:
    say(f"preparing .venv, which takes a while the first time; downloads at most {profile.download_mb} MB of packages")
    if build is None:
        return
    say(f"and {build.words}, about {build.download_mb} MB")
    need_room(profile.disk_mb + build.disk_mb)


def _fingerprint(profile: Profile) -> str:
    return hashlib.sha256(profile.lock.read_bytes() + torch.VERSION.encode()).hexdigest()


def _fits(stamp: dict[str, str]) -> bool:
    return stamp.get("root") == str(ROOT) and stamp.get("python") == interpreter() and PYTHON.exists()


def _read_stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp
