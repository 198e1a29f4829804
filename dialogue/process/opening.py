"""Opens the database for a process: checks its schema version, its clock, and the master key."""

import contextlib
from contextlib import closing

from dialogue.core import people
from dialogue.errors import DatabaseUnavailable, DialogueError
from dialogue.process import home
from dialogue.process.key_file import master_keys
from dialogue.process.settings import DialogueSettings
from dialogue.storage import residue, schema, timekeeper
from dialogue.storage.after_commit import Announce
from dialogue.storage.database import Database, connect
from dialogue.storage.vault import MasterKeys


def upgrade_own(settings: DialogueSettings) -> None:
    """Migrates the SQLite database in the home directory; a configured database is left to `mindglm migrate`."""
    if settings.database_url is not None:
        return
    with closing(connect(home.database_url(settings))) as database:
        schema.upgrade(database)
        with contextlib.suppress(DatabaseUnavailable):  # in use, or no room for a copy: next time
            residue.make_shrinkable(database)


def open_database(
    settings: DialogueSettings, *, lock_seconds: float | None = None, announce: Announce | None = None
) -> tuple[Database, MasterKeys]:
    """Everything is checked before the first message is received. `announce` is called after every commit.

    Raises `Misconfigured`, `SchemaMismatch`, `WrongSecretKey`, `DatabaseUnavailable`.
    """
    database = connect(home.database_url(settings), lock_seconds=lock_seconds, announce=announce)
    try:
        schema.check(database)
        timekeeper.agree(database)
        keys = master_keys(settings)
        with database.read() as session:
            people.check_master_key(session, keys)
    except DialogueError:
        database.close()
        raise
    return database, keys
