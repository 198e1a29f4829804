"""Installs uv and runs it on .venv with this machine's pip configuration."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from bootstrap.places import LOCKS, PYTHON, ROOT, VENV
from bootstrap.trouble import Trouble, say

_NO_PIP = "this Python has no pip; on Debian and Ubuntu run `apt-get install python3-pip`"
_NO_NETWORK = "the package index cannot be reached; set PIP_INDEX_URL to a mirror or HTTPS_PROXY to a proxy"
_NO_TRUST = "the package index's certificate is not trusted; set SSL_CERT_FILE to the certificates to trust"
_FULL = "the disk is full"
_READ_ONLY = "the directory is not writable"
_REASONS = {
    "No space left on device": _FULL,
    "Read-only file system": _READ_ONLY,
    "Permission denied": _READ_ONLY,
    "CERTIFICATE_VERIFY_FAILED": _NO_TRUST,
    "Failed to establish a new connection": _NO_NETWORK,
    "Temporary failure in name resolution": _NO_NETWORK,
    "Max retries exceeded": _NO_NETWORK,
    "Cannot connect to proxy": _NO_NETWORK,
    "timed out": _NO_NETWORK,
}
_FULL_BELOW_MB = 20


class PipSettings(NamedTuple):
    """The package sources in pip's configuration."""

    index_url: str | None = None
    certificates: str | None = None
    wheel_directories: Sequence[str] = ()

    @classmethod
    def read(cls) -> Self:
        """Read from `pip config list`, which covers pip's files and PIP_* variables; empty without pip."""
        pip = _pip()
        if pip is None:
            return cls()
        done = subprocess.run([*pip, "config", "list"], check=False, capture_output=True, text=True)
        return cls.parse(done.stdout)

    @classmethod
    def parse(cls, listing: str) -> Self:
        """Parse the output of `pip config list`; variables (``:env:``) override files."""
        pairs = [line.split("=", 1) for line in sorted(listing.splitlines()) if "=" in line]
        found = {key.rsplit(".", 1)[-1]: ast.literal_eval(value) for key, value in reversed(pairs)}
        directories = [place for place in found.get("find-links", "").split() if Path(place).is_dir()]
        return cls(found.get("index-url"), found.get("cert"), directories)


class Uv:
    """The installer; a method that fails raises `Trouble` after uv has printed its own error."""

    def __init__(self, program: Path, pip_settings: PipSettings) -> None:
        self._program = program
        self._environment = environment(os.environ, pip_settings)

    @classmethod
    def get(cls, pip_settings: PipSettings) -> Self:
        """uv in .venv, which is created if necessary; without pip, the uv on the PATH."""
        if not PYTHON.exists():
            venv.create(VENV, symlinks=True)
        program = VENV / "bin" / "uv"
        if program.exists():
            return cls(program, pip_settings)
        pip, elsewhere = _pip(), shutil.which("uv")
        if pip is None and elsewhere is not None:
            return cls(Path(elsewhere), pip_settings)
        _fetch(pip or _bundled_pip())
        return cls(program, pip_settings)

    def install_locked(self, lock: Path) -> None:
        """Install exactly the lock's packages, checked against its hashes."""
        self._run("install", f"--python={PYTHON}", "--no-deps", "--require-hashes", f"--requirements={lock}")

    def install(self, *words: str) -> None:
        """Install additional packages."""
        self._run("install", f"--python={PYTHON}", *words)

    def compile(self, *words: str, output: Path) -> None:
        """Write a lock for every platform, with hashes and without index URLs."""
        fixed = ("--quiet", "--universal", "--generate-hashes", "--no-header", "--python-version=3.11")
        self._run("compile", *fixed, f"--output-file={output.relative_to(ROOT)}", *words)

    def tool(self, package: str, *words: str, lock: Path) -> int:
        """Run a locked package's program outside .venv; returns its exit status."""
        argv = [str(self._program), "tool", "run", "--quiet", f"--constraints={lock}", f"--from={package}", *words]
        return subprocess.run(argv, check=False, env=self._environment, cwd=ROOT).returncode

    def _run(self, *words: str) -> None:
        done = subprocess.run([self._program, "pip", *words], check=False, env=self._environment, cwd=ROOT)
        if done.returncode == 0:
            return
        if shutil.disk_usage(ROOT).free < _FULL_BELOW_MB * 1_000_000:
            raise Trouble(_FULL)
        raise Trouble(f"uv failed, see its output above; if the network was down: {_NO_NETWORK}")


def environment(inherited: Mapping[str, str], pip_settings: PipSettings) -> dict[str, str]:
    """uv's environment: the system's certificates, and pip's package sources unless uv's own are set."""
    wanted = {
        "UV_SYSTEM_CERTS": "1",
        "UV_DEFAULT_INDEX": None if "UV_INDEX_URL" in inherited else pip_settings.index_url,
        "UV_FIND_LINKS": ",".join(pip_settings.wheel_directories),
        "SSL_CERT_FILE": pip_settings.certificates,
    }
    return {name: value for name, value in wanted.items() if value} | dict(inherited)


def explain(output: str) -> str:
    """Reduce a failed pip's output to one line."""
    for sign, reason in _REASONS.items():
        if sign in output:
            return reason
    lines = output.strip().splitlines()
    return f"pip failed: {lines[-1] if lines else 'no output'}"


def _fetch(pip: Sequence[str]) -> None:
    say("downloading uv, the installer: 25 MB")
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries=2")
    what = ("--require-hashes", "--only-binary=:all:", f"--requirement={LOCKS / 'uv.txt'}")
    argv = [*pip, "--python", str(PYTHON), "install", *options, *what]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble(explain(done.stderr))


@cache
def _pip() -> list[str] | None:
    """The pip of this Python, or of the Python its virtual environment was created from."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    ask = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
    if base.exists() and subprocess.run([base, "-c", ask], check=False, capture_output=True).returncode == 0:
        return [str(base), "-m", "pip"]
    return None


def _bundled_pip() -> list[str]:
    """The pip wheel that most Pythons bundle for `ensurepip`; Debian's does not."""
    if importlib.util.find_spec("ensurepip") is None:
        raise Trouble(_NO_PIP)
    done = subprocess.run([PYTHON, "-m", "ensurepip"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble(_NO_PIP)
    return [str(PYTHON), "-m", "pip"]
