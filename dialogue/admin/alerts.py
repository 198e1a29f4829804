"""Alerts to admins, owed in the transaction that causes them: ids and tiers only, never a person's words."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit, find
from dialogue.admin.audit import Action, Whom
from dialogue.admin.cases.opening import open_case
from dialogue.admin.office import Actor, Office
from dialogue.core import outbox, people
from dialogue.core.danger_course import ALARM
from dialogue.errors import Unreadable, WrongSecretKey
from dialogue.messages import Address
from dialogue.states import CaseKind, DeliveryKind
from dialogue.tables import CONVERSATIONS, PEOPLE

QUIET = timedelta(minutes=10)
"""Minimum time between two alarms of one conversation, unless the danger rises."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def alert(session: Session, office: Office, text: str, *, conversation_id: UUID | None, now: datetime) -> None:
    """Owe a text to every admin who has not muted alerts.

    `text` holds ids, never a person's words: it is sealed for the admin. `conversation_id`: what an admin's reply to
    the alert is about.
    """
    for admin in office.admins:
        tell(session, office, admin, text, conversation_id, now=now)


def alarm(
    session: Session, office: Office, conversation_id: UUID, *, tier: int, is_urgent: bool, now: datetime
) -> bool:
    """Somebody may be about to harm themselves: write an audit entry, open a case and alert the admins.

    Not repeated for `QUIET`, unless the danger rises. Returns whether it was raised.
    """
    if not _is_news(session, conversation_id, level=tier + is_urgent, now=now):
        return False
    place = (CONVERSATIONS.c.person_id, CONVERSATIONS.c.channel)
    row = session.execute(select(*place).where(CONVERSATIONS.c.id == conversation_id)).one()
    whom = Whom(person_id=row.person_id, conversation_id=conversation_id)
    audit.note(session, actor="screening", action=ALARM, whom=whom, reason=f"tier {tier}", now=now)
    open_case(
        session,
        office,
        kind=CaseKind.DANGER,
        person_id=row.person_id,
        conversation_id=conversation_id,
        level=tier + is_urgent,
        now=now,
    )
    if not office.admins:
        return True
    short_id = find.short_id(session, conversation_id)
    words = "alert_urgent" if is_urgent else "alert_danger"
    text = office.texts.say(words, id=short_id, tier=tier, channel=row.channel, at=office.clock_time(now))
    alert(session, office, text, conversation_id=conversation_id, now=now)
    return True


def tell(
    session: Session, office: Office, admin: Address, text: str, conversation_id: UUID | None, *, now: datetime
) -> bool:
    """Owe a text to one of them; False if they have muted alerts, were erased, or have a key that we cannot open."""
    locked = _row(admin).with_for_update(read=True, key_share=True)  # or the row may be gone before the text is owed
    row = session.execute(locked).first()
    if row is None:  # an admin who never wrote to the bot is a person all the same: texts are sealed for them
        people.make(session, office.keys, channel=admin.channel, user_id=admin.chat_id, now=now)
        row = session.execute(_row(admin)).one()
    if row.alerts_muted_at is not None:
        return False
    if row.data_key is None:
        log.error("alert_lost", channel=admin.channel, reason="admin_erased")
        return False
    try:
        key = office.keys.person_key(row.data_key, row.id)
    except (WrongSecretKey, Unreadable):  # whoever is in danger is answered all the same, and the others are told
        log.error("alert_lost", channel=admin.channel, reason="admin_unreadable")  # noqa: TRY400 - it is expected
        return False
    outbox.owe(
        session,
        key,
        person_id=row.id,
        address=admin,
        text=text,
        kind=DeliveryKind.ALERT,
        conversation_id=conversation_id,
        now=now,
    )
    return True


def mute(session: Session, admin: Address, *, by: Actor, now: datetime) -> None:
    """Send no alerts to that admin until `unmute`."""
    _set_muted(session, admin, now)
    audit.note(session, actor=by.name, action=Action.MUTE_ALERTS, whom=Whom(), reason=None, now=now)


def unmute(session: Session, admin: Address, *, by: Actor, now: datetime) -> None:
    """Send alerts to that admin again."""
    _set_muted(session, admin, None)
    audit.note(session, actor=by.name, action=Action.UNMUTE_ALERTS, whom=Whom(), reason=None, now=now)


def listeners(session: Session, office: Office) -> list[Address]:
    """The admins who have not muted alerts."""
    return [admin for admin in office.admins if not _is_muted(session, admin)]


def _is_news(session: Session, conversation_id: UUID, *, level: int, now: datetime) -> bool:
    told = session.execute(
        update(CONVERSATIONS)
        .where(
            CONVERSATIONS.c.id == conversation_id,
            or_(
                CONVERSATIONS.c.alarmed_at.is_(None),
                CONVERSATIONS.c.alarmed_at <= now - QUIET,
                CONVERSATIONS.c.alarm_level < level,
            ),
        )
        .values(alarmed_at=now, alarm_level=level)
        .returning(CONVERSATIONS.c.id)
    )
    return told.first() is not None


def _row(admin: Address) -> Select[Any]:
    return select(PEOPLE.c.id, PEOPLE.c.data_key, PEOPLE.c.alerts_muted_at).where(
        PEOPLE.c.channel == admin.channel, PEOPLE.c.user_id == admin.chat_id
    )


def _is_muted(session: Session, admin: Address) -> bool:
    row = session.execute(_row(admin)).first()
    return row is not None and row.alerts_muted_at is not None


def _set_muted(session: Session, admin: Address, at: datetime | None) -> None:
    session.execute(
        update(PEOPLE)
        .where(PEOPLE.c.channel == admin.channel, PEOPLE.c.user_id == admin.chat_id)
        .values(alerts_muted_at=at)
    )
