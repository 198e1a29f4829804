"""`mindglm up`: every channel whose token is set, with the broker and a worker, on one host."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from bot.channels import registry
from dialogue.errors import DialogueError
from dialogue.process import home
from dialogue.process.exit_status import ExitStatus
from dialogue.process.file_lock import try_lock
from dialogue.process.opening import upgrade_own
from dialogue.process.settings import DialogueSettings
from dialogue.storage import schema
from mindglm import local_processes, supervisor, unknown_settings
from mindglm.language import echo
from mindglm.supervise import Program

_WORKER_GRACE_SECONDS = 50.0


def run(settings: DialogueSettings) -> int:
    """Returns 2 with no channel; else this process becomes the supervisor (`mindglm.supervisor`)."""
    home.keep_private()
    unknown_settings.warn()
    names = configured()
    if not names:
        echo("No channel is configured:", to_stderr=True)
        for channel in registry.platforms():
            echo(f"  {channel.name}: set {registry.process_of(channel).switched_on_by}", to_stderr=True)
        echo("Or talk in the terminal: mindglm chat", to_stderr=True)
        return ExitStatus.USAGE
    registry.check_accounts(settings)
    if settings.consent == "off":
        echo("MINDGLM_CONSENT=off: messages are stored and answered without asking for consent.", to_stderr=True)
    with _alone_in(home.home(settings)) as lock:
        return _run(settings, names, lock)


def _run(settings: DialogueSettings, names: list[str], lock: IO[str]) -> NoReturn:
    if settings.database_url is None:
        upgrade_own(settings)
    else:
        schema.upgrade_at(home.database_url(settings))
    programs = [
        *_wanted(local_processes.broker(settings)),
        local_processes.worker(settings, grace_seconds=_WORKER_GRACE_SECONDS),
        *(local_processes.channel(name, settings) for name in names),
        *_wanted(local_processes.backups(settings)),
    ]
    supervisor.become(programs, lock)


class AlreadyUp(DialogueError):
    """Another `mindglm up` runs in this home. Stop that one first, or give this one a MINDGLM_HOME of its own."""


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[IO[str]]:
    """Two would receive the same messages."""
    lock = try_lock(directory / "up.lock")
    if lock is None:
        raise AlreadyUp
    with lock:
        yield lock


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
