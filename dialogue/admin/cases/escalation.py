"""Calls the next on the list while nobody attends to a case. What is due is a row; any process may do it, one does.

Calls by chat go through the outbox; those by e-mail and webhook are rows of `case_calls`, sent under a lease.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session

from dialogue.admin import alerts, audit, find
from dialogue.admin.audit import Action, Whom
from dialogue.admin.cases.escalation_list import CallBy, Callee
from dialogue.admin.office import Office
from dialogue.states import OPEN_DELIVERY_STATES, DeliveryState, Role
from dialogue.storage.ids import new_id
from dialogue.tables import CASE_CALLS, CASES, Staff, StaffSession

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 5
ACTOR = "escalation"

_LONGEST_PAUSE = timedelta(hours=1)
_FIRST_RETRY = timedelta(seconds=10)
_BATCH = 20
_DUE = (
    select(CASES)
    .where(CASES.c.next_call_at <= bindparam("now"), CASES.c.closed_at.is_(None))
    .order_by(CASES.c.next_call_at)
    .limit(_BATCH)
    .with_for_update(skip_locked=True)
)
_AT_THE_CONSOLE = select(
    exists().where(
        Staff.name == bindparam("name"),
        Staff.disabled_at.is_(None),
        Staff.role != Role.VIEWER,
        StaffSession.staff_id == Staff.id,
        StaffSession.expires_at > bindparam("now"),
    )
)
"""Whether somebody may attend to people and is signed in; a desk that idles rings too."""
_OWED = (
    select(CASE_CALLS.c.id)
    .where(
        or_(
            and_(CASE_CALLS.c.state == DeliveryState.PENDING, CASE_CALLS.c.next_attempt_at <= bindparam("now")),
            and_(CASE_CALLS.c.state == DeliveryState.SENDING, CASE_CALLS.c.lease_until <= bindparam("now")),
        )
    )
    .order_by(CASE_CALLS.c.next_attempt_at)
    .limit(_BATCH)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCallDue:
    """A call to make by e-mail or webhook. `id` stays the same when it is repeated; no words of any person."""

    id: UUID
    rung: int
    label: str
    attempt: int
    subject: str
    text: str
    facts: dict[str, str | int | None]


def is_anything_due(session: Session, *, now: datetime) -> bool:
    """Looked at before anything is locked."""
    due = select(CASES.c.id).where(CASES.c.next_call_at <= now, CASES.c.closed_at.is_(None)).limit(1)
    is_owed = (CASE_CALLS.c.state.in_(OPEN_DELIVERY_STATES), CASE_CALLS.c.next_attempt_at <= now)
    return bool(session.scalar(due) or session.scalar(select(CASE_CALLS.c.id).where(*is_owed).limit(1)))


def call_due(session: Session, office: Office, callees: Sequence[Callee], *, now: datetime) -> int:
    """Call the next one for each case that is due; returns for how many cases."""
    rows = session.execute(_DUE, {"now": now}).all()
    for row in rows:
        _call_next(session, office, callees, row, now=now)
    return len(rows)


def claim_calls(session: Session, office: Office, *, owner: UUID, now: datetime) -> list[CaseCallDue]:
    """Lease the calls that are owed. One whose case somebody attends to by now is discarded."""
    call_ids = session.scalars(_OWED, {"now": now}).all()
    if not call_ids:
        return []
    session.execute(
        update(CASE_CALLS)
        .where(CASE_CALLS.c.id.in_(call_ids))
        .values(state=DeliveryState.SENDING, owner=owner, lease_until=now + LEASE, attempt=CASE_CALLS.c.attempt + 1)
    )
    query = select(CASE_CALLS, CASES).join(CASES, CASES.c.id == CASE_CALLS.c.case_id)
    found = session.execute(query.where(CASE_CALLS.c.id.in_(call_ids)).order_by(CASE_CALLS.c.id)).all()
    attended = [row.id for row in found if row.waits_since is None or row.closed_at is not None]
    if attended:
        discard = update(CASE_CALLS).where(CASE_CALLS.c.id.in_(attended))
        session.execute(discard.values(state=DeliveryState.DISCARDED, lease_until=None))
    return [_to_make(session, office, row, now=now) for row in found if row.id not in attended]


def mark_made(session: Session, call_id: UUID, *, owner: UUID, now: datetime) -> None:
    """It was taken by the other side."""
    _settle(session, call_id, owner, state=DeliveryState.SENT, sent_at=now, error=None)


def mark_failed(session: Session, call: CaseCallDue, *, owner: UUID, error: str, now: datetime) -> None:
    """It is repeated later; after `MAX_ATTEMPTS` it is given up, and the next on the list is called at once."""
    if call.attempt < MAX_ATTEMPTS:
        later = now + _FIRST_RETRY * 2**call.attempt
        _settle(session, call.id, owner, state=DeliveryState.PENDING, next_attempt_at=later, error=error)
        return
    _settle(session, call.id, owner, state=DeliveryState.FAILED, error=error)
    case_id = session.scalar(select(CASE_CALLS.c.case_id).where(CASE_CALLS.c.id == call.id))
    waiting = (CASES.c.id == case_id, CASES.c.next_call_at > now)
    session.execute(update(CASES).where(*waiting).values(next_call_at=now))


def _call_next(session: Session, office: Office, callees: Sequence[Callee], row: Row[Any], *, now: datetime) -> None:
    called, count = None, row.call_count
    for _ in callees:
        rung = count % len(callees)
        count += 1
        if _call(session, office, callees[rung], rung, row, now=now):
            called = callees[rung].label
            break
    pause = timedelta(minutes=office.case_minutes) * 2 ** min(count // max(1, len(callees)), 8)
    values = {
        "call_count": max(count, row.call_count + 1),
        "called": called or row.called,
        "next_call_at": now + min(pause, max(_LONGEST_PAUSE, timedelta(minutes=office.case_minutes))),
    }
    session.execute(update(CASES).where(CASES.c.id == row.id).values(**values))
    whom = Whom(person_id=row.person_id, conversation_id=row.conversation_id)
    audit.note(session, actor=ACTOR, action=Action.CASE_CALLED, whom=whom, reason=called or "nobody", now=now)


def _call(session: Session, office: Office, callee: Callee, rung: int, row: Row[Any], *, now: datetime) -> bool:
    """False for somebody who cannot be called now."""
    if callee.by is CallBy.CONSOLE:  # the console shows it, and notifies them
        return bool(session.scalar(_AT_THE_CONSOLE, {"name": callee.target, "now": now}))
    if callee.by is CallBy.CHAT:
        words = _text(session, office, row, now=now)
        return alerts.tell(session, office, callee.address, words, row.conversation_id, now=now)
    session.execute(
        CASE_CALLS.insert().values(
            id=new_id(),
            case_id=row.id,
            rung=rung,
            label=callee.label,
            state=DeliveryState.PENDING,
            attempt=0,
            next_attempt_at=now,
            created_at=now,
        )
    )
    return True


def _to_make(session: Session, office: Office, row: Row[Any], *, now: datetime) -> CaseCallDue:
    case = session.execute(select(CASES).where(CASES.c.id == row.case_id)).one()
    short_id = _short_id(session, case)
    return CaseCallDue(
        id=row.id,
        rung=row.rung,
        label=row.label,
        attempt=row.attempt,
        subject=office.texts.say("case_call_subject", id=short_id, minutes=_minutes(case, now)),
        text=_text(session, office, case, now=now),
        facts={
            "conversation": short_id,
            "kind": case.kind.value,
            "level": case.level,
            "waits_since": case.waits_since.isoformat() if case.waits_since else None,
            "waiting_minutes": _minutes(case, now),
            "url": office.link(case.conversation_id) or None,
        },
    )


def _text(session: Session, office: Office, case: Row[Any], *, now: datetime) -> str:
    words = office.texts.say(
        "case_call",
        id=_short_id(session, case),
        kind=office.texts.say(f"case_kind_{case.kind}"),
        level=case.level,
        minutes=_minutes(case, now),
        at=office.clock_time(case.waits_since or now),
    )
    link = office.link(case.conversation_id)
    return f"{words}\n{link}" if link else words


def _short_id(session: Session, case: Row[Any]) -> str:
    return find.short_id(session, case.conversation_id) if case.conversation_id is not None else "–"


def _minutes(case: Row[Any], now: datetime) -> int:
    return max(0, int((now - (case.waits_since or now)).total_seconds() // 60))


def _settle(session: Session, call_id: UUID, owner: UUID, **values: object) -> None:
    mine = (CASE_CALLS.c.id == call_id, CASE_CALLS.c.owner == owner, CASE_CALLS.c.state == DeliveryState.SENDING)
    session.execute(update(CASE_CALLS).where(*mine).values(owner=None, lease_until=None, **values))
