"""The conversation of `mindglm chat`: a seat, the services, and the console between them."""

import getpass
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from uuid import UUID

from bot.channels import registry
from bot.channels.terminal import CHANNEL
from bot.channels.terminal.console import Console, ConsoleFiles, ConsoleSender
from bot.incoming.receipt import Receipt
from bot.outgoing.courier import Courier
from bot.outgoing.late_texts import LateTextSender
from bot.outgoing.listener import Listener
from bot.services import BotServices
from care import screening
from dialogue.core import conversations, history, pending
from dialogue.errors import DatabaseUnavailable, DialogueError, Misconfigured
from dialogue.messages import Address, InboundMessage
from dialogue.process.file_lock import try_lock
from dialogue.process.home import database_url, home
from dialogue.process.logs import configure
from dialogue.process.settings import DialogueSettings
from dialogue.storage import schema
from mindglm.background import Background

_MAX_SEATS = 64

Tell = Callable[[str], None]


def converse(settings: DialogueSettings, background: Background, status: Tell, took: Tell) -> None:
    """From the first prompt to 结束对话 or the end of the input; raises `DialogueError`."""
    _log_to_file(settings)
    with _seat(settings) as (seat, address):
        schema.upgrade_at(database_url(settings))
        registry.check_accounts(settings)
        services = BotServices.open(
            settings.model_copy(update={"consent": "off"}), is_attended=False
        )  # the notice was printed: using it agrees
        try:
            took("database: ready")
            if settings.broker_url is not None:
                services.signals.check()
            _sit_down(
                services, background, status, took, address=address, seat=seat, exports=home(settings) / "exports"
            )
        finally:
            services.close()


def _sit_down(
    services: BotServices,
    background: Background,
    status: Tell,
    took: Tell,
    *,
    address: Address,
    seat: int,
    exports: Path,
) -> None:
    sender = ConsoleSender(on_reply=cache(partial(took, "first reply")))  # cached: told once
    files = ConsoleFiles(sender, exports, services.texts)
    writing = LateTextSender(sender, services.pen, send_files=files.send)
    courier = Courier(database=services.database, keys=services.keys, sender=writing, chat_id=address.chat_id)
    listener = Listener(
        services.broker_url,
        CHANNEL,
        on_owed=courier.wake,
        on_partial=partial(_show_partial, services, address, sender) if sys.stdout.isatty() else None,
    )
    reading = threading.Thread(target=screening.warm, name="screening", daemon=True)
    console = Console(
        sender=sender,
        texts=services.texts,
        address=address,
        read_line=_terminal_reader() if sys.stdin.isatty() else _read_piped,
        say=partial(_say, services, reading),
        is_open=partial(_is_awaited, services),
        out=sys.stdout,
        status=status,
        is_streaming=sys.stdout.isatty(),
    )
    unanswered = _welcome_back(services, address, seat, status)
    delivering = background.start(courier.run())
    background.start(listener.run())
    took("first prompt")
    reading.start()  # while the person writes
    try:
        console.run(unanswered)
    finally:
        sender.close()
        background.loop.call_soon_threadsafe(courier.stop)
        delivering.result()


def _welcome_back(services: BotServices, address: Address, seat: int, status: Tell) -> list[UUID]:
    """Tell where the conversation stands; returns what was not answered last time."""
    with services.database.read() as session:
        conversation_id = conversations.find_open(session, address)
        count = pending.answered_count(session, conversation_id) if conversation_id else 0
        unanswered = pending.unanswered(session, address)
    if seat > 1:
        status(services.texts.say("console_seat", seat=seat))
    if count:
        status(services.texts.say("console_continued", turns=count))
    return unanswered


def _say(services: BotServices, reading: threading.Thread, message: InboundMessage) -> Receipt:
    reading.join()
    return services.inbox.receive_blocking(message)


def _is_awaited(services: BotServices, awaited: UUID) -> bool:
    try:
        with services.database.read() as session:
            return pending.is_awaited(session, awaited)
    except DatabaseUnavailable:
        return True


def _show_partial(services: BotServices, address: Address, sender: ConsoleSender, turn_id: UUID, sealed: bytes) -> None:
    """Ignores texts for other windows."""
    try:
        with services.database.read() as session:
            opened = history.open_partial(session, services.keys, turn_id, sealed)
    except DialogueError:
        return
    if opened is not None and opened[0] == address:
        sender.show_partial(turn_id, opened[1])


@contextmanager
def _seat(settings: DialogueSettings) -> Iterator[tuple[int, Address]]:
    """The first free window: each holds a conversation of its own, and finds it again next time."""
    person = getpass.getuser()
    for seat in range(1, _MAX_SEATS + 1):
        lock = try_lock(home(settings) / f"console-{seat}.lock")
        if lock is not None:
            with lock:
                yield seat, Address(channel=CHANNEL, chat_id=person if seat == 1 else f"{person}-{seat}")
            return
    raise Misconfigured(f"{_MAX_SEATS} windows are open already.")


def _log_to_file(settings: DialogueSettings) -> None:
    """The terminal belongs to the conversation."""
    directory = home(settings) / "logs"
    directory.mkdir(exist_ok=True)
    configure(settings, (directory / "chat.log").open("a", encoding="utf-8"))


def _terminal_reader() -> Callable[[str], str]:
    """`input`, with a line that can be edited and earlier ones to go back to, where the system has that."""
    with suppress(ImportError):
        importlib.import_module("readline")
    return input


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
