"""Starts our commands as forks of a process that has imported and read what they need: seconds become milliseconds.

What then runs is the module as ``python -m`` runs it, in a session of its own. What a real start adds (the interpreter,
its flags, the order of imports) is the subject of other tests, such as tests/mindglm/test_chat.py and tests/deploy.
"""

import atexit
import gc
import importlib
import json
import math
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

_PRELOADED = (
    "bot.channels.telegram.adapter",
    "bot.channels.wechat.adapter",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.bin.amqp",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.concurrency.thread",
    "celery.events.dispatcher",
    "celery.loaders.app",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "celery.worker.worker",
    "click_repl",
    "kombu.transport.redis",
    "mindglm.adapter_process",
    "mindglm.chat",
    "mindglm.commands",
    "mindglm.doctor.variables",
    "mindglm.speaking",
    "mindglm.terminal",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "uvloop",
    "worker.celery",
    "worker.consumer",
    "worker.engine.scripted",
)
_LOOK_SECONDS = 0.05
_RUN_SECONDS = 90
_SIGNALS = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class Order:
    """One start: ``python -m MODULE ARGUMENTS``, with the paths of its standard files."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    said: str
    log: str
    errors: str


class ForkedProcess:
    """What tests use of `subprocess.Popen`."""

    def __init__(self, zygote: "_Zygote", pid: int) -> None:
        self._zygote = zygote
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._zygote.status_of(self.pid, within_seconds=0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises `subprocess.TimeoutExpired`."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while (status := self._zygote.status_of(self.pid, within_seconds=_LOOK_SECONDS)) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    module: str,
    *arguments: str,
    environment: dict[str, str],
    log: Path,
    errors: Path | None = None,
    said: Path = Path(os.devnull),
) -> ForkedProcess:
    """In the current directory. `said` is read; `log` is there when this returns, and holds the errors by default."""
    log.touch()
    order = Order(
        module=module,
        arguments=list(arguments),
        environment=environment,
        directory=str(Path.cwd()),
        said=str(said),
        log=str(log),
        errors=str(errors or log),
    )
    return _zygote().fork(order)


def run(module: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with what it says caught, for commands that end by themselves."""
    with tempfile.TemporaryDirectory() as directory:
        said, errors = Path(directory) / "said", Path(directory) / "errors"
        status = start(module, *arguments, environment=environment, log=said, errors=errors).wait(_RUN_SECONDS)
        return subprocess.CompletedProcess([module, *arguments], status, said.read_text(), errors.read_text())


def share(process_count: int) -> None:
    """Start one forking process for this one and for `process_count` forks of it, each of which calls `use`."""
    _shared.extend(_start(process_count + 1))


def use(number: int) -> None:
    """In the fork of that number, from 0, of the process that called `share`."""
    mine = _shared[number]
    for zygote in _shared:
        if zygote is not mine:
            zygote.close()
    _shared[:] = [mine]


_shared: list["_Zygote"] = []
"""The last is for this process."""


@cache
def _zygote() -> "_Zygote":
    """One for all tests of this process; it ends with it."""
    if not _shared:
        share(0)
    return _shared[-1]


def _start(client_count: int) -> list["_Zygote"]:
    pairs = [socket.socketpair() for _ in range(client_count)]
    descriptors = [its.fileno() for _, its in pairs]
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *map(str, descriptors)],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("MINDGLM_")},
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    zygotes = []
    for ours, its in pairs:
        its.close()
        zygotes.append(_Zygote(ours))
    atexit.register(_end, process, zygotes)
    return zygotes


def _end(process: subprocess.Popen[bytes], zygotes: list["_Zygote"]) -> None:
    for zygote in zygotes:
        zygote.close()
    process.wait()


class _Zygote:
    """This side of the forking process: orders go out, process ids and exit statuses come back.

    It has no thread: a test may fork, and a child of a process with threads can hang.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._statuses: dict[int, int] = {}
        self._started: list[int] = []
        self._lock = threading.RLock()
        self._socket = connected
        self._unread = b""

    def fork(self, order: Order) -> ForkedProcess:
        with self._lock:
            self._socket.sendall(json.dumps(asdict(order)).encode() + b"\n")
            while not self._started:
                self._hear(_LOOK_SECONDS)
            return ForkedProcess(self, self._started.pop())

    def status_of(self, pid: int, *, within_seconds: float) -> int | None:
        """None while it runs."""
        with self._lock:
            if pid not in self._statuses:
                self._hear(within_seconds)
            return self._statuses.get(pid)

    def close(self) -> None:
        """What it started for this process is killed."""
        self._socket.close()

    def _hear(self, within_seconds: float) -> None:
        ready, _, _ = select.select([self._socket], [], [], within_seconds)
        if not ready:
            return
        heard = self._socket.recv(1 << 16)
        if not heard:
            raise RuntimeError("the process that starts the others has ended")
        *lines, self._unread = (self._unread + heard).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "status" in told:
                self._statuses[told["pid"]] = told["status"]
            else:
                self._started.append(told["pid"])


# --- The forking process ---------------------------------------------------------------------------------------------


class _Client:
    """A process that tests, seen from the forking one."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)
        self._running: set[int] = set()
        self._unread = b""

    def orders(self) -> list[Order] | None:
        """None when it has ended."""
        try:
            heard = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return None
        *lines, self._unread = (self._unread + heard).split(b"\n")
        return [Order(**json.loads(line)) for line in lines] if heard else None

    def has_started(self, pid: int) -> None:
        self._running.add(pid)
        self._tell(pid=pid)

    def tell_ended(self) -> None:
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._running.discard(pid)
                self._tell(pid=pid, status=os.waitstatus_to_exitcode(status))

    def end(self) -> None:
        self.socket.close()
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _tell(self, **told: int) -> None:
        with suppress(BrokenPipeError):  # it has ended, as is heard next
            self.socket.sendall(json.dumps(told).encode() + b"\n")


def _serve(clients: list[_Client]) -> Order | None:
    """Returns an order in the child that is to carry it out, and nothing here, when no client is left."""
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    with wake, woken:
        while clients:
            ready, _, _ = select.select([wake, *(client.socket for client in clients)], [], [])
            if wake in ready:
                wake.recv(4096)
                for client in clients:
                    client.tell_ended()
            for client in [client for client in clients if client.socket in ready]:
                orders = client.orders()
                if orders is None:
                    clients.remove(client)
                    client.end()
                for order in orders or ():
                    pid = os.fork()
                    if pid == 0:
                        signal.set_wakeup_fd(-1)
                        for other in clients:
                            other.socket.close()
                        return order
                    client.has_started(pid)
    return None


def _become(order: Order) -> None:
    """Everything that a child of `subprocess.Popen` has of its own."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    os.chdir(order.directory)
    sys.path[0] = order.directory
    for standard, (path, mode) in enumerate(((order.said, "rb"), (order.log, "ab"), (order.errors, "ab"))):
        with Path(path).open(mode) as file:
            os.dup2(file.fileno(), standard)
    sys.argv[1:] = order.arguments


def _carry_out(order: Order) -> NoReturn:
    """Ends as the interpreter ends, but lets the kernel put away what was imported.

    The interpreter would walk through all of it, and each page that it touches is copied first: a sixth of a second.
    """
    status = 0
    try:
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = _status_of(ended)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        status = -signal.SIGINT
    except BaseException:  # noqa: BLE001 - the outermost place of this process
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing ends its forks
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, by it or by whoever reads it
            stream.flush()
    if status == -signal.SIGINT:
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)


def _status_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return (ended.code or 0) & 0xFF
    sys.stderr.write(f"{ended.code}\n")
    return 1


def warm() -> None:
    """What each process of ours reads and compiles when it starts, and does not change: half of a start."""
    from care import guard, judge, screening, texts

    screening.warm()
    judge.warm()
    guard.patterns()
    for locale in ("zh", "en"):
        texts.load(locale)


def main() -> None:
    for name in _PRELOADED:
        importlib.import_module(name)
    warm()
    gc.freeze()
    order = _serve([_Client(int(descriptor)) for descriptor in sys.argv[1:]])
    if order is not None:
        _become(order)
        _carry_out(order)


if __name__ == "__main__":
    main()
