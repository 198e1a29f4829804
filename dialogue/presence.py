"""Who is there: each process says so in the database every few seconds, beside all other work.

A process that ends in order takes its row along; the row of one that was killed stays for a while and grows old.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import psutil
import structlog
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from dialogue.clock import Clock, utc_now
from dialogue.database import Database
from dialogue.errors import DatabaseUnavailable
from dialogue.ids import new_id
from dialogue.tables import PROCESSES, Figure
from dialogue.version import product_version

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BEAT_SECONDS = 5.0
GONE_SECONDS = 30.0
"""A process that said nothing for so long is stuck, gone, or cut off from the database."""

_KEPT = timedelta(days=1)
_STOP_SECONDS = 2.0

_ENTER = insert(PROCESSES)
_BEAT = (
    update(PROCESSES)
    .where(PROCESSES.c.id == bindparam("of_id"))
    .values(seen_at=bindparam("now"), figures=bindparam("new_figures", type_=PROCESSES.c.figures.type))
    .returning(PROCESSES.c.id)
)
_SUCCEED = delete(PROCESSES).where(
    PROCESSES.c.id != bindparam("of_id"),
    PROCESSES.c.kind == bindparam("of_kind"),
    PROCESSES.c.name == bindparam("of_name"),
    PROCESSES.c.host == bindparam("of_host"),
    PROCESSES.c.seen_at < bindparam("gone_before"),
)
_FORGET = delete(PROCESSES).where(PROCESSES.c.seen_at < bindparam("kept_since"))
_LEAVE = delete(PROCESSES).where(PROCESSES.c.id == bindparam("of_id"))
_ALL = select(PROCESSES).order_by(PROCESSES.c.kind, PROCESSES.c.name, PROCESSES.c.host, PROCESSES.c.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One running process. `kind` is what it does (telegram, worker …), `name` which one of its kind."""

    kind: str
    name: str
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    version: str = field(default_factory=product_version)
    started_at: datetime = field(default_factory=utc_now)
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A process as it last said itself."""

    identity: Identity
    seen_at: datetime
    figures: Mapping[str, Figure]

    def silent_seconds(self, now: datetime) -> float:
        return max(0.0, (now - self.seen_at).total_seconds())

    def is_there(self, now: datetime) -> bool:
        return self.silent_seconds(now) <= GONE_SECONDS


def present(session: Session) -> list[Presence]:
    """All processes that were there in the last day and did not end in order, by kind and name."""
    return [
        Presence(
            identity=Identity(
                kind=row.kind,
                name=row.name,
                host=row.host,
                pid=row.pid,
                version=row.version,
                started_at=row.started_at,
                id=row.id,
            ),
            seen_at=row.seen_at,
            figures=row.figures,
        )
        for row in session.execute(_ALL)
    ]


def beat(session: Session, me: Identity, figures: Mapping[str, Figure], *, now: datetime) -> None:
    """I am here, and this is how I am doing. Takes the place of a predecessor that was killed."""
    told = dict(figures)
    if session.execute(_BEAT, {"of_id": me.id, "now": now, "new_figures": told}).first() is None:
        session.execute(_ENTER, {**_columns(me), "seen_at": now, "figures": told})
    place = {"of_id": me.id, "of_kind": me.kind, "of_name": me.name, "of_host": me.host}
    session.execute(_SUCCEED, {**place, "gone_before": now - timedelta(seconds=GONE_SECONDS)})
    session.execute(_FORGET, {"kept_since": now - _KEPT})


def leave(session: Session, me: Identity) -> None:
    """I end in order."""
    session.execute(_LEAVE, {"of_id": me.id})


def _columns(me: Identity) -> dict[str, object]:
    return {name: getattr(me, name) for name in Identity.__slots__}


class Pulse:
    """Beats for this process in a thread of its own; a database that is away is tried again."""

    def __init__(
        self,
        *,
        database: Database,
        me: Identity,
        figures: Callable[[], Mapping[str, Figure]],
        beat_seconds: float = BEAT_SECONDS,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._me = me
        self._figures = figures
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._process = psutil.Process()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take the row away; a database that does not answer is not waited for."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def beat(self) -> None:
        """Once; raises `DatabaseUnavailable`."""
        figures = {**self._figures(), "memory_mb": round(self._process.memory_info().rss / 1e6)}
        with self._database.begin() as session:
            beat(session, self._me, figures, now=self._clock())

    def _run(self) -> None:
        self._try(self.beat)
        while not self._stopping.wait(self._beat_seconds):
            self._try(self.beat)
        self._try(self._leave)

    def _leave(self) -> None:
        with self._database.begin() as session:
            leave(session, self._me)

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except DatabaseUnavailable as error:
            log.warning("pulse_missed", error=str(error))
        except Exception as error:  # noqa: BLE001 - a thread's outermost loop: the next beat may succeed
            log.error("pulse_broke", error=type(error).__name__)  # noqa: TRY400 - as everywhere, no traceback
