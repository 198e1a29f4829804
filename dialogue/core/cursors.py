"""Pulling what came to an account: by one process at a time, from where the last one stopped.

A notice only says that something came. The cursor is saved after the rows that it covers, so a crash costs repeats,
never a message; a puller whose lease was lost saves nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session

from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import new_id
from dialogue.tables import CHANNEL_CURSORS

_AT = (CHANNEL_CURSORS.c.channel == bindparam("of_channel"), CHANNEL_CURSORS.c.account == bindparam("of_account"))
_NOTE = (
    update(CHANNEL_CURSORS)
    .where(*_AT)
    .values(
        notice_count=CHANNEL_CURSORS.c.notice_count + 1,
        noticed_at=bindparam("now"),
        pull_token=bindparam("new_token"),
        pull_until=bindparam("until"),
    )
)
_NOTICE = _NOTE.returning(CHANNEL_CURSORS.c.id)
_BY_OWNER = bindparam("by_owner", type_=CHANNEL_CURSORS.c.owner.type)
_LEASED_UNTIL = bindparam("leased_until", type_=CHANNEL_CURSORS.c.lease_until.type)
_MAY_LEASE = or_(
    CHANNEL_CURSORS.c.lease_until.is_(None),
    CHANNEL_CURSORS.c.lease_until <= bindparam("now"),
    CHANNEL_CURSORS.c.owner == _BY_OWNER,
)
_LEASE = (
    update(CHANNEL_CURSORS)
    .where(*_AT, _MAY_LEASE)
    .values(owner=_BY_OWNER, lease_until=_LEASED_UNTIL)
    .returning(CHANNEL_CURSORS)
)
_NOTICE_AND_LEASE = _NOTE.values(
    owner=case((_MAY_LEASE, _BY_OWNER), else_=CHANNEL_CURSORS.c.owner),
    lease_until=case((_MAY_LEASE, _LEASED_UNTIL), else_=CHANNEL_CURSORS.c.lease_until),
).returning(CHANNEL_CURSORS)
_OWNED = update(CHANNEL_CURSORS).where(*_AT, CHANNEL_CURSORS.c.owner == bindparam("by_owner"))
_PROLONG = _OWNED.values(lease_until=bindparam("until")).returning(CHANNEL_CURSORS.c.id)
_ADVANCE = _OWNED.values(cursor=bindparam("new_cursor")).returning(CHANNEL_CURSORS.c.id)
_FINISH = _OWNED.values(
    lease_until=None,
    owner=None,
    pulled_at=bindparam("now"),
    pulled_count=bindparam("new_count"),
    cursor=func.coalesce(bindparam("new_cursor", type_=CHANNEL_CURSORS.c.cursor.type), CHANNEL_CURSORS.c.cursor),
).returning(CHANNEL_CURSORS.c.notice_count)
_GIVE_UP = _OWNED.values(lease_until=None, owner=None)
_DUE = select(CHANNEL_CURSORS.c.account).where(
    CHANNEL_CURSORS.c.channel == bindparam("of_channel"),
    CHANNEL_CURSORS.c.account.in_(bindparam("accounts", expanding=True)),
    or_(
        CHANNEL_CURSORS.c.notice_count > CHANNEL_CURSORS.c.pulled_count,
        CHANNEL_CURSORS.c.pulled_at.is_(None),
        CHANNEL_CURSORS.c.pulled_at <= bindparam("pulled_before"),
    ),
)
_CURSOR = select(CHANNEL_CURSORS.c.cursor).where(*_AT)
_ALL = select(CHANNEL_CURSORS).where(CHANNEL_CURSORS.c.channel == bindparam("of_channel"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """The right to pull an account now, and from where. `token` is empty when there is no fresh one."""

    account: str
    cursor: str | None
    token: str
    notice_count: int
    first_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPull:
    """When an account was last heard of."""

    account: str
    noticed_at: datetime | None
    pulled_at: datetime | None


def notice(session: Session, channel: str, account: str, *, token: str, valid_for: timedelta, now: datetime) -> None:
    """The platform said that something came."""
    values = {**_at(channel, account), "new_token": token, "until": now + valid_for, "now": now}
    if session.execute(_NOTICE, values).first() is None:
        know(session, channel, account, now=now)
        session.execute(_NOTICE, values)


def notice_and_lease(
    session: Session,
    channel: str,
    account: str,
    *,
    token: str,
    valid_for: timedelta,
    owner: UUID,
    seconds: float,
    now: datetime,
) -> Pull | None:
    """Both at once, for whoever wrote waits: the right to pull for so long; None while another process has it."""
    until = now + timedelta(seconds=seconds)
    values = {**_at(channel, account), "new_token": token, "until": now + valid_for, "now": now}
    values |= {"by_owner": owner, "leased_until": until}
    row = session.execute(_NOTICE_AND_LEASE, values).first()
    if row is None:
        know(session, channel, account, now=now)
        row = session.execute(_NOTICE_AND_LEASE, values).one()
    return _pull(row, now) if row.owner == owner else None


def know(session: Session, channel: str, account: str, *, now: datetime) -> None:
    """From now on that account is pulled."""
    values = {"id": new_id(), "channel": channel, "account": account, "first_seen_at": now}
    insert_or_ignore(session, CHANNEL_CURSORS, {**values, "notice_count": 0, "pulled_count": 0})


def lease(session: Session, channel: str, account: str, *, owner: UUID, seconds: float, now: datetime) -> Pull | None:
    """The right to pull for so long; None while another process has it."""
    until = now + timedelta(seconds=seconds)
    values = {**_at(channel, account), "by_owner": owner, "leased_until": until, "now": now}
    row = session.execute(_LEASE, values).first()
    return None if row is None else _pull(row, now)


def prolong(session: Session, channel: str, account: str, *, owner: UUID, seconds: float, now: datetime) -> bool:
    """False if another process has it by now."""
    values = {**_at(channel, account), "by_owner": owner, "until": now + timedelta(seconds=seconds)}
    return session.execute(_PROLONG, values).first() is not None


def advance(session: Session, channel: str, account: str, *, owner: UUID, cursor: str) -> bool:
    """Everything before `cursor` is stored. False if another process pulls by now: nothing is saved then."""
    values = {**_at(channel, account), "by_owner": owner, "new_cursor": cursor}
    return session.execute(_ADVANCE, values).first() is not None


def finish(
    session: Session,
    channel: str,
    account: str,
    *,
    owner: UUID,
    cursor: str | None = None,
    notice_count: int,
    now: datetime,
) -> bool:
    """Everything was pulled up to `cursor` (None: the one that is saved), and the lease is given up.

    Returns whether more than `notice_count` notices have come; False if another process pulls by now: nothing is saved.
    """
    values = {**_at(channel, account), "by_owner": owner, "new_cursor": cursor, "new_count": notice_count, "now": now}
    row = session.execute(_FINISH, values).first()
    return row is not None and row.notice_count > notice_count


def give_up(session: Session, channel: str, account: str, *, owner: UUID) -> None:
    """It did not work: whoever comes next tries again."""
    session.execute(_GIVE_UP, {**_at(channel, account), "by_owner": owner})


def due(session: Session, channel: str, accounts: Collection[str], *, every: timedelta, now: datetime) -> list[str]:
    """The accounts that were noticed since they were pulled, or were not pulled for so long."""
    values = {"of_channel": channel, "accounts": list(accounts), "pulled_before": now - every}
    return list(session.scalars(_DUE, values))


def saved_cursor(session: Session, channel: str, account: str) -> str | None:
    """Up to where everything is stored."""
    cursor: str | None = session.scalar(_CURSOR, _at(channel, account))
    return cursor


def last_pulls(session: Session, channel: str) -> list[LastPull]:
    """All accounts of a channel."""
    rows = session.execute(_ALL, {"of_channel": channel})
    return [LastPull(account=row.account, noticed_at=row.noticed_at, pulled_at=row.pulled_at) for row in rows]


def _pull(row: Any, now: datetime) -> Pull:
    has_token = row.pull_token is not None and row.pull_until is not None and row.pull_until > now
    return Pull(
        account=row.account,
        cursor=row.cursor,
        token=row.pull_token if has_token else "",
        notice_count=row.notice_count,
        first_seen_at=row.first_seen_at,
    )


def _at(channel: str, account: str) -> dict[str, str]:
    return {"of_channel": channel, "of_account": account}
