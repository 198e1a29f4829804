"""`mindglm chat`: the whole road in one terminal, for one person, with nothing to install."""

import asyncio
import getpass
import io
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Self, TypeVar
from uuid import UUID

import psutil

from bot.channels.console import CHANNEL, Console, ConsoleSender
from bot.courier import Courier
from bot.listener import Listener
from bot.room import Room
from care import texts
from dialogue import conversations, embedded, history, pending, schema
from dialogue.database import connect
from dialogue.errors import DatabaseUnavailable, DialogueError, Misconfigured
from dialogue.logs import configure
from dialogue.messages import Address
from dialogue.settings import DialogueSettings
from mindglm import pieces
from mindglm.supervise import FinalExit, Kept, try_lock

T = TypeVar("T")

_WORKER_GRACE_SECONDS = 2.0
"""On leaving, a reply may take this long; then it is given back and comes next time."""
_MAX_SEATS = 64


class Leave(BaseException):
    """Ctrl-C, a closed terminal or SIGTERM: stop now, in order."""


def run(settings: DialogueSettings, *, has_worker: bool, has_timings: bool) -> int:
    """Hold the conversation; returns the exit status."""
    timings = _Timings(is_shown=has_timings)
    words = texts.load(settings.locale)
    _status(words.say("console_notice"))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    _read_and_write_utf8()
    _log_to_file(settings)
    try:
        with _Background() as background:
            _converse(settings, background, timings, has_worker=has_worker)
    except Leave:
        _status("\n" + words.say("console_interrupted"))
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return 0
    except (DialogueError, FinalExit) as error:
        _status(f"mindglm chat: {error}")
        return 1
    return 0


def _converse(settings: DialogueSettings, background: "_Background", timings: "_Timings", *, has_worker: bool) -> None:
    with _seat(settings) as (seat, address):
        database = connect(embedded.database_url(settings))
        schema.upgrade(database)
        database.close()
        room = Room.open(settings)
        timings.took("database")
        try:
            with _kept(background, settings, timings, has_worker=has_worker):
                _sit_down(room, background, timings, address=address, seat=seat)
        finally:
            room.close()


def _sit_down(room: Room, background: "_Background", timings: "_Timings", *, address: Address, seat: int) -> None:
    sender = ConsoleSender()
    courier = Courier(database=room.database, keys=room.keys, sender=sender, chat_id=address.chat_id)
    listener = Listener(
        room.broker_url,
        CHANNEL,
        on_owed=courier.wake,
        on_partial=partial(_show_partial, room, address, sender) if sys.stdout.isatty() else None,
    )
    console = Console(
        sender=sender,
        texts=room.texts,
        address=address,
        read_line=input if sys.stdin.isatty() else _read_piped,
        say=room.inbox.receive_blocking,
        is_open=lambda awaited: _is_awaited(room, awaited),
        out=sys.stdout,
        status=_status,
        is_streaming=sys.stdout.isatty(),
    )
    unanswered = _welcome_back(room, address, seat)
    delivering, listening = background.start(courier.run()), background.start(listener.run())
    timings.took("first prompt")
    try:
        console.run(unanswered)
    finally:
        sender.close()
        background.loop.call_soon_threadsafe(courier.stop)
        delivering.result()
        listening.cancel()


def _welcome_back(room: Room, address: Address, seat: int) -> list[UUID]:
    with room.database.read() as session:
        conversation = conversations.find_open(session, address)
        count = pending.answered_count(session, conversation.id) if conversation else 0
        unanswered = pending.unanswered(session, address)
    if seat > 1:
        _status(room.texts.say("console_seat", seat=seat))
    if count:
        _status(room.texts.say("console_continued", turns=count))
    return unanswered


def _is_awaited(room: Room, awaited: UUID) -> bool:
    try:
        with room.database.read() as session:
            return pending.is_awaited(session, awaited)
    except DatabaseUnavailable:
        return True


def _show_partial(room: Room, address: Address, sender: ConsoleSender, turn_id: UUID, sealed: bytes) -> None:
    """Other windows' words are not for this one."""
    try:
        with room.database.read() as session:
            opened = history.open_partial(session, room.keys, turn_id, sealed)
    except DialogueError:
        return
    if opened is not None and opened[0] == address:
        sender.show_partial(turn_id, opened[1])


@contextmanager
def _seat(settings: DialogueSettings) -> Iterator[tuple[int, Address]]:
    """The first free window: each holds a conversation of its own, and finds it again next time."""
    person = getpass.getuser()
    for seat in range(1, _MAX_SEATS + 1):
        lock = try_lock(embedded.home(settings) / f"console-{seat}.lock")
        if lock is not None:
            with lock:
                yield seat, Address(channel=CHANNEL, chat_id=person if seat == 1 else f"{person}-{seat}")
            return
    raise Misconfigured(f"{_MAX_SEATS} windows are open already.")


@contextmanager
def _kept(
    background: "_Background", settings: DialogueSettings, timings: "_Timings", *, has_worker: bool
) -> Iterator[None]:
    """Broker and worker, from before the first prompt to after the last."""
    programs = [pieces.broker(settings)]
    if has_worker:
        programs.append(pieces.worker(settings, grace_seconds=_WORKER_GRACE_SECONDS))
    kept = [Kept(program, timings.report) for program in programs if program is not None]
    try:
        for process in kept:
            background.call(_start(process))
            timings.took(process.program.name)
        yield
    finally:
        for process in reversed(kept):
            background.call(process.stop())


async def _start(process: Kept) -> None:
    process.start()
    await process.wait_ready()


class _Background:
    """An event loop in a thread, for what goes on while the main thread waits for a line."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="background")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result()


class _Timings:
    """With ``--timings``: what took how long since the start of the process, on stderr."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._started_at = psutil.Process().create_time()

    def took(self, what: str) -> None:
        if self._is_shown:
            _status(f"{time.time() - self._started_at:7.2f} s  {what}")

    def report(self, name: str, line: str) -> None:
        if self._is_shown:
            self.took(f"{name}: {line}")


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise Leave


def _read_piped(label: str) -> str:
    """A line from a pipe is echoed, so that what comes out is the whole dialogue."""
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    line = line.rstrip("\n")
    if line.strip():
        sys.stdout.write(f"{label}{line}\n")
        sys.stdout.flush()
    return line


def _read_and_write_utf8() -> None:
    """Bytes that are no UTF-8 are read as such and become U+FFFD when they are stored."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _log_to_file(settings: DialogueSettings) -> None:
    """The terminal belongs to the conversation."""
    directory = embedded.home(settings) / "logs"
    directory.mkdir(exist_ok=True)
    configure(settings, (directory / "chat.log").open("a", encoding="utf-8"))


def _status(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
