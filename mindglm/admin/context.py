"""The context of an admin command: the database, the keys, the actor, and the output format."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import typer

from dialogue.process.exit_status import ExitStatus
from mindglm import language

if TYPE_CHECKING:
    from dialogue.admin.office import Actor, Office
    from dialogue.process.settings import DialogueSettings
    from dialogue.storage.database import Database

AsJson = Annotated[bool, typer.Option("--json", help="For machines: one JSON document on stdout.")]
MAX_REASON_LENGTH = 255


def a_reason(text: str | None) -> str | None:
    """A reason that says something; one that is not given is not asked about here."""
    if text is not None and not 0 < len(text.strip()) <= MAX_REASON_LENGTH:
        raise typer.BadParameter("a reason of 1 to 255 characters")
    return text.strip() if text is not None else None


_WHY_HELP = "The reason, kept in the audit; at most 255 characters."
Why = Annotated[str | None, typer.Option("--why", callback=a_reason, help=_WHY_HELP)]
Reason = Annotated[str, typer.Option("--why", callback=a_reason, help=_WHY_HELP)]
"""Where staff must say why: what a person wrote or asked for is opened, or cannot be undone."""
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

NOT_CONFIRMED = ExitStatus.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminContext:
    """Opened for one command."""

    settings: "DialogueSettings"
    database: "Database"
    office: "Office"
    actor: "Actor"

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        """Checks schema and key first; raises `DialogueError`."""
        from zoneinfo import ZoneInfo

        from bot.channels import registry
        from care import texts
        from dialogue.admin.office import Actor, Office
        from dialogue.broker.announcer import Announcer
        from dialogue.broker.signals import Signals
        from dialogue.process import home, logs
        from dialogue.process.opening import open_database
        from dialogue.process.settings import DialogueSettings
        from mindglm.admin import printing

        settings = DialogueSettings.read()
        printing.tell_times_in(ZoneInfo(settings.console_time_zone))
        registry.check_accounts(settings)
        logs.configure(settings)  # to stderr: stdout is for the result
        with closing(Signals.connect(home.broker_url(settings))) as signals:
            database, keys = open_database(settings, announce=Announcer(signals))
            with closing(database):
                yield cls(
                    settings=settings,
                    database=database,
                    office=Office.of(settings, keys, texts.load(settings.locale)),
                    actor=Actor(name=f"cli:{getpass.getuser()}"),
                )


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation before a destructive action; a script must pass `--yes`."""
    if yes:
        return
    asked = language.say(question)
    if not sys.stdin.isatty():
        language.echo(f"{asked} There is no terminal to ask on: pass --yes.", to_stderr=True)
        raise typer.Exit(NOT_CONFIRMED)
    try:
        is_confirmed = typer.confirm(asked)
    except typer.Abort:
        is_confirmed = False
    if not is_confirmed:
        raise typer.Exit(NOT_CONFIRMED)
