"""Whether alarms reach the admins: told by what became of the last text that was sent to each of them.

A bot may not write to somebody who never wrote to it, or who blocked it. Then the alarm goes to the next admin, and
reports say so until a text arrives there again.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dialogue.admin import alerts
from dialogue.admin.cases.opening import UNREACHABLE_LEVEL, open_case
from dialogue.admin.office import Office
from dialogue.core import outbox, people
from dialogue.messages import Address, OwedText
from dialogue.states import UNDELIVERED_STATES, CaseKind, DeliveryKind, DeliveryState
from dialogue.tables import DELIVERIES, PEOPLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LAST = (
    select(DELIVERIES.c.id, DELIVERIES.c.state, DELIVERIES.c.error, DELIVERIES.c.created_at)
    .join(PEOPLE, PEOPLE.c.id == DELIVERIES.c.person_id)
    .where(
        PEOPLE.c.channel == bindparam("channel"),
        PEOPLE.c.user_id == bindparam("user_id"),
        DELIVERIES.c.state.in_((DeliveryState.SENT, *UNDELIVERED_STATES)),
    )
    .order_by(DELIVERIES.c.id.desc())
    .limit(2)
)
_PERSON = select(PEOPLE.c.id).where(PEOPLE.c.channel == bindparam("channel"), PEOPLE.c.user_id == bindparam("user_id"))
_OUTCOMES = select(DELIVERIES.c.id, DELIVERIES.c.state, DELIVERIES.c.error).where(
    DELIVERIES.c.id.in_(bindparam("ids", expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Of one admin. `error` is None unless the last text did not arrive; `at` is None where none was tried."""

    admin: Address
    error: str | None = None
    at: datetime | None = None

    @property
    def is_lost(self) -> bool:
        return self.error is not None


def of(session: Session, office: Office) -> list[Reach]:
    """In the order of MINDGLM_ADMINS."""
    return [_reach(session, admin) for admin in office.admins]


def lost(session: Session, office: Office) -> list[Reach]:
    """Those whom alarms do not reach."""
    return [one for one in of(session, office) if one.is_lost]


def pass_on(session: Session, office: Office, refused: OwedText, error: str, *, now: datetime) -> None:
    """An alarm did not reach its admin: in the transaction that marks it as failed, tell the next one.

    The first failure of a spell is a case, too. Told are, once for each spell, whoever can be reached; and always
    somebody, if nobody else was told this alarm.
    """
    admin = refused.address.at_any_account()
    others = [one.admin for one in of(session, office) if one.admin != admin and not one.is_lost]
    is_first = _is_first_failure(session, admin, refused.id)
    log.error("alert_not_delivered", channel=admin.channel, reason=error, others=len(others))
    if is_first:
        _open_case(session, office, admin, now=now)
    was_told = [other for other in others if other in alerts.listeners(session, office)]
    if not others or (was_told and not is_first):
        return
    next_admin = (was_told or others)[0]
    name = f"{admin.channel}:{admin.chat_id}"
    text = office.texts.say("alert_passed_on", admin=name, reason=error, text=refused.text)
    _owe(session, office, next_admin, text, now=now)


def test(session: Session, office: Office, *, now: datetime) -> dict[Address, UUID]:
    """Owe a test alarm to every admin, also to those who muted alarms; the delivery of each."""
    text = office.texts.say("alert_test", at=office.clock_time(now))
    return {admin: _owe(session, office, admin, text, now=now) for admin in office.admins}


def outcomes(session: Session, delivery_ids: list[UUID]) -> dict[UUID, tuple[DeliveryState, str | None]]:
    """What has become of those texts, and the error of each that failed."""
    return {row.id: (row.state, row.error) for row in session.execute(_OUTCOMES, {"ids": delivery_ids})}


def _reach(session: Session, admin: Address) -> Reach:
    last = session.execute(_LAST, {"channel": admin.channel, "user_id": admin.chat_id}).first()
    if last is None:
        return Reach(admin=admin)
    error = None if last.state is DeliveryState.SENT else (last.error or str(last.state))
    return Reach(admin=admin, error=error, at=last.created_at)


def _open_case(session: Session, office: Office, admin: Address, *, now: datetime) -> None:
    person_id = session.scalar(_PERSON, {"channel": admin.channel, "user_id": admin.chat_id})
    if person_id is not None:
        kind = CaseKind.UNREACHABLE_ADMIN
        open_case(
            session, office, kind=kind, person_id=person_id, conversation_id=None, level=UNREACHABLE_LEVEL, now=now
        )


def _is_first_failure(session: Session, admin: Address, refused_id: UUID) -> bool:
    tried = session.execute(_LAST, {"channel": admin.channel, "user_id": admin.chat_id}).all()
    before = [one for one in tried if one.id != refused_id]
    return not before or before[0].state is DeliveryState.SENT


def _owe(session: Session, office: Office, admin: Address, text: str, *, now: datetime) -> UUID:
    person = people.locked(session, office.keys, channel=admin.channel, user_id=admin.chat_id, now=now)
    return outbox.owe(
        session,
        person.key,
        person_id=person.id,
        address=admin,
        text=text,
        kind=DeliveryKind.ALERT,
        conversation_id=None,
        now=now,
    )
