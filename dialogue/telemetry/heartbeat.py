"""Heartbeats: each running process updates its row in the database every few seconds.

A process that stops normally deletes its row; the row of a killed process stays for a day and goes stale.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from dialogue.process.version import product_version
from dialogue.storage.clock import utc_now
from dialogue.storage.ids import new_id
from dialogue.tables import PROCESSES, Figure

BEAT_SECONDS = 5.0
GONE_SECONDS = 30.0
"""A heartbeat older than this: the process is stuck, gone, or cut off from the database."""

_KEPT = timedelta(days=1)

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
    """One running process. `kind` is its role (worker, console, a channel's name), `name` distinguishes instances."""

    kind: str
    name: str
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    version: str = field(default_factory=product_version)
    started_at: datetime = field(default_factory=utc_now)
    id: UUID = field(default_factory=new_id)
    key_ids: tuple[str, ...] | None = None
    """Ids of its master keys, the wrapping one first; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A process as of its last heartbeat."""

    identity: Identity
    seen_at: datetime
    figures: Mapping[str, Figure]

    def silent_seconds(self, now: datetime) -> float:
        return max(0.0, (now - self.seen_at).total_seconds())

    def is_there(self, now: datetime) -> bool:
        return self.silent_seconds(now) <= GONE_SECONDS


def present(session: Session) -> list[Presence]:
    """Processes with a heartbeat in the last day that did not stop normally, by kind and name."""
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
                key_ids=None if row.key_ids is None else tuple(row.key_ids.split(",")),
            ),
            seen_at=row.seen_at,
            figures=row.figures,
        )
        for row in session.execute(_ALL)
    ]


def beat(session: Session, me: Identity, figures: Mapping[str, Figure], *, now: datetime) -> None:
    """Write the heartbeat of this process, replacing that of a killed predecessor."""
    told = dict(figures)
    if session.execute(_BEAT, {"of_id": me.id, "now": now, "new_figures": told}).first() is None:
        session.execute(_ENTER, {**_columns(me), "seen_at": now, "figures": told})
    place = {"of_id": me.id, "of_kind": me.kind, "of_name": me.name, "of_host": me.host}
    session.execute(_SUCCEED, {**place, "gone_before": now - timedelta(seconds=GONE_SECONDS)})
    session.execute(_FORGET, {"kept_since": now - _KEPT})


def leave(session: Session, me: Identity) -> None:
    """Delete the heartbeat: the process stops normally."""
    session.execute(_LEAVE, {"of_id": me.id})


def _columns(me: Identity) -> dict[str, object]:
    columns = {name: getattr(me, name) for name in Identity.__slots__}
    return columns | {"key_ids": None if me.key_ids is None else ",".join(me.key_ids)}
