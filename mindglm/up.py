"""`mindglm up`: every channel whose token is set, with the broker and a worker, on one host."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bot.channels import registry
from bot.ending import end_tasks
from dialogue.errors import DialogueError
from dialogue.process import home
from dialogue.process.exit_status import ExitStatus
from dialogue.process.file_lock import try_lock
from dialogue.process.opening import upgrade_own
from dialogue.process.settings import DialogueSettings
from dialogue.storage import schema
from mindglm import pieces, unknown_settings
from mindglm.language import say
from mindglm.supervise import FinalExit, Kept, Program

_WORKER_GRACE_SECONDS = 50.0


def run(settings: DialogueSettings) -> int:
    """Returns the exit status: 0 after Ctrl-C or SIGTERM, 78 when a process cannot run at all, 2 with no channel."""
    home.keep_private()
    console = Console(stderr=True, highlight=False)
    unknown_settings.warn()
    names = configured()
    if not names:
        console.print(say("No channel is configured:"))
        for channel in registry.platforms():
            console.print(say(f"  {channel.name}: set {registry.process_of(channel).switched_on_by}"))
        console.print(say("Or talk in the terminal: mindglm chat"))
        return ExitStatus.USAGE
    registry.check_accounts(settings)
    if settings.consent == "off":
        warning = "MINDGLM_CONSENT=off: messages are stored and answered without asking for consent."
        console.print(say(warning), style="bold")
    with _alone_in(home.home(settings)):
        return _run(settings, names, console)


def _run(settings: DialogueSettings, names: list[str], console: Console) -> int:
    if settings.database_url is None:
        upgrade_own(settings)
    else:
        schema.upgrade_at(home.database_url(settings))
    programs = [
        *_wanted(pieces.broker(settings)),
        pieces.worker(settings, grace_seconds=_WORKER_GRACE_SECONDS),
        *(pieces.channel(name, settings) for name in names),
        *_wanted(pieces.backups(settings)),
    ]
    try:
        asyncio.run(supervise(programs, console))
    except FinalExit as error:
        console.print(say(f"{error.name} cannot run: {error}"), markup=False)
        return ExitStatus.CONFIG
    return ExitStatus.OK


class AlreadyUp(DialogueError):
    """Another `mindglm up` runs in this home. Stop that one first, or give this one a MINDGLM_HOME of its own."""


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Two would receive the same messages."""
    lock = try_lock(directory / "up.lock")
    if lock is None:
        raise AlreadyUp
    with lock:
        yield


def _wanted(program: Program | None) -> list[Program]:
    return [program] if program is not None else []


def configured() -> list[str]:
    """The names of the channels that the environment switches on; raises `Misconfigured`."""
    names = []
    for channel in registry.platforms():
        process = registry.process_of(channel)
        if process.is_on(process.settings().read()):
            names.append(channel.name)
    return names


async def supervise(programs: list[Program], console: Console) -> None:
    """Until SIGTERM or SIGINT; then the last started stops first. Raises `FinalExit`."""
    kept = [Kept(program, lambda name, line: _report(console, name, line)) for program in programs]
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for process in kept:
        process.start()
    ending = asyncio.create_task(stopping.wait())
    watching = [asyncio.create_task(process.watch()) for process in kept]
    try:
        done, _ = await asyncio.wait({ending, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end_tasks((ending, *watching))
        for process in reversed(kept):
            with contextlib.suppress(FinalExit):
                await process.stop()


def _report(console: Console, name: str, line: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')}  [bold]{name:<10}[/]{say(line)}")
