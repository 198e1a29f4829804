"""Backup and restore. They need only the database, neither broker nor key."""

import getpass
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindglm import language
from mindglm.admin.context import AsJson

if TYPE_CHECKING:
    from dialogue.backup.dump import Written
    from dialogue.storage.database import Database

_RETRY = timedelta(minutes=5)


def register(app: typer.Typer) -> None:
    """Put these commands on the counter."""
    app.command(epilog="Example: mindglm admin backup /var/backups/mindglm --keep 14")(backup)
    app.command(epilog="Example: mindglm admin restore /var/backups/mindglm/mindglm-20261121T030000Z.jsonl.gz")(restore)


def backup(
    directory: Annotated[
        Path | None,
        typer.Argument(help="Where backups are kept, with the keys beside them. Default: MINDGLM_BACKUP_DIRECTORY."),
    ] = None,
    *,
    keep: Annotated[int | None, typer.Option(help="Delete all but this many of the newest.", min=1)] = None,
    every_hours: Annotated[
        float | None, typer.Option(help="Keep running and write a backup every so many hours.", min=0.01)
    ] = None,
    json: AsJson = False,
) -> None:
    """Copy the database into a file while everything runs. Texts stay sealed; the master key is NOT in it."""
    from dialogue.process import home
    from dialogue.process.settings import DialogueSettings
    from dialogue.storage.database import connect

    settings = DialogueSettings.read()
    directory = directory or home.backups(settings)
    database = connect(home.database_url(settings))
    try:
        if every_hours is None:
            _tell(_write(database, directory, keep), as_json=json)
        else:
            _write_for_ever(database, directory, keep, timedelta(hours=every_hours), as_json=json)
    finally:
        database.close()


def restore(
    backup: Annotated[Path, typer.Argument(help="The file; the keys are read from beside it.")],
    *,
    json: AsJson = False,
) -> None:
    """Load a backup into an EMPTY database, of either kind. Stop the bot first."""
    from dialogue.admin import audit
    from dialogue.admin.audit import Action, Whom
    from dialogue.backup.load import restore as load
    from dialogue.core import people
    from dialogue.process import home
    from dialogue.process.key_file import master_keys
    from dialogue.process.settings import DialogueSettings
    from dialogue.storage.clock import utc_now
    from dialogue.storage.database import connect
    from mindglm.admin import printing

    settings = DialogueSettings.read()
    database = connect(home.database_url(settings))
    try:
        restored = load(database, backup, now=utc_now())
        with database.begin() as session:
            actor, reason = f"cli:{getpass.getuser()}", backup.name
            audit.note(session, actor=actor, action=Action.RESTORE, whom=Whom(), reason=reason, now=utc_now())
        if json:
            printing.as_json(restored)
        else:
            printing.line(f"Restored: {_counts(restored.counts)}.")
            printing.line(
                f"Not resumed: {restored.turn_count} turns, {restored.delivery_count} deliveries. "
                f"Erased since the backup: {restored.erased_count} people."
            )
        with database.read() as session:
            people.check_master_key(session, master_keys(settings))
    finally:
        database.close()


def _write(database: "Database", directory: Path, keep: int | None) -> "Written":
    from dialogue.admin import audit
    from dialogue.admin.audit import Action, Whom
    from dialogue.backup.dump import dump, prune
    from dialogue.errors import Misconfigured
    from dialogue.storage.clock import utc_now

    now = utc_now()
    try:
        written = dump(database, directory, now=now)
        if keep is not None:
            prune(directory, keep=keep)
    except OSError as error:
        raise Misconfigured(f"The backup cannot be written: {error.strerror}: {error.filename or directory}") from error
    with database.begin() as session:
        actor, reason = f"cli:{getpass.getuser()}", written.path.name
        audit.note(session, actor=actor, action=Action.BACKUP, whom=Whom(), reason=reason, now=now)
    return written


def _write_for_ever(
    database: "Database", directory: Path, keep: int | None, period: timedelta, *, as_json: bool
) -> None:
    """Until SIGTERM; a restart does not write one more, and a failure is tried again."""
    from dialogue.backup.dump import newest_at
    from dialogue.errors import DialogueError

    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    last_at = newest_at(directory)
    while not ending.wait(_seconds_until(last_at + period if last_at else None)):
        try:
            _tell(_write(database, directory, keep), as_json=as_json)
            last_at = datetime.now(UTC)
        except DialogueError as error:
            language.echo(f"mindglm admin backup: {error}", to_stderr=True)
            last_at = datetime.now(UTC) - period + _RETRY


def _seconds_until(at: datetime | None) -> float:
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at else 0.0


def _tell(written: "Written", *, as_json: bool) -> None:
    from mindglm.admin import printing

    if as_json:
        printing.as_json(written)
        return
    printing.line(f"{written.path}: {_counts(written.counts)}.")
    if written.key_ids:
        printing.line(f"Its texts open with master key {', '.join(written.key_ids)}, which is not in it.")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no rows"
