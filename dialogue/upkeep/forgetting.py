"""Makes people who were erased unreadable in files as well: the database's, and the keys beside the backups.

On SQLite before they are told (decision 0104). On PostgreSQL in the next round of housekeeping; how long its WAL and
copies made elsewhere keep the key is a matter of their configuration, and the person is told in days.
"""

import time
from pathlib import Path

import structlog
from sqlalchemy import bindparam, exists, select

from dialogue.backup import dump
from dialogue.errors import DatabaseUnavailable
from dialogue.rights.erasure import REPLAY
from dialogue.storage import residue
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.tables import PEOPLE

_REST_SECONDS = 0.02
_ERASED_SINCE = select(
    exists().where(
        PEOPLE.c.erased_at.is_not(None), PEOPLE.c.scrubbed_at.is_(None), PEOPLE.c.erased_at > bindparam("since")
    )
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Forgetting:
    """The farewell calls `forget`, the housekeeper `keep`; `backups` is the directory of our own backups."""

    def __init__(self, *, database: Database, backups: Path | None = None, clock: Clock = utc_now) -> None:
        self._database = database
        self._backups = backups
        self._clock = clock
        self._is_sqlite = database.engine.dialect.name == "sqlite"
        self._forgotten_until = clock() - REPLAY

    def forget(self) -> bool:
        """Forget everybody who is erased by now; whether no file within our reach holds their key any more.

        Raises `DatabaseUnavailable` while somebody still reads the old pages: try again.
        """
        is_gone_from_backups = self._refresh_keys()
        if not self._is_sqlite:
            return False
        now = self._clock()
        if not residue.rewrite(self._database, PEOPLE):
            raise DatabaseUnavailable("The database cannot be used: a reader keeps old pages.")
        self._forgotten_until = now
        return is_gone_from_backups

    def keep(self) -> None:
        """One round of housekeeping: what `forget` could not do yet, and a small SQLite file."""
        if self._is_anybody_left():
            self._catch_up()
        residue.truncate_wal(self._database)
        residue.give_back_pages(self._database, pause=_rest)

    def _catch_up(self) -> None:
        try:
            if self._is_sqlite:
                self.forget()
            else:
                self._refresh_keys()
                self._forgotten_until = residue.vacuum(self._database, PEOPLE) or self._forgotten_until
        except DatabaseUnavailable as error:
            log.warning("forgetting_waits", error=str(error))

    def _is_anybody_left(self) -> bool:
        with self._database.read() as session:
            return bool(session.scalar(_ERASED_SINCE, {"since": self._forgotten_until}))

    def _refresh_keys(self) -> bool:
        if self._backups is None:
            return True
        try:
            dump.refresh_keys(self._database, self._backups)
        except OSError as error:
            log.error("backup_keys_not_refreshed", error=error.strerror)  # noqa: TRY400 - the reason is enough
            return False
        return True


def _rest() -> bool:
    """Writers come first."""
    time.sleep(_REST_SECONDS)
    return False
