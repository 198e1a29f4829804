"""Ends a takeover whose admin does not answer: the model answers again, and everybody involved is told."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from dialogue.admin import alerts, audit, find
from dialogue.admin.audit import Action
from dialogue.admin.cases import handling
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover import end_takeover, locked
from dialogue.errors import ConversationClosed, Erased, Unreadable, WrongSecretKey
from dialogue.states import DeliveryKind
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.tables import CONVERSATIONS, DELIVERIES, MESSAGES, SEND_BUDGETS

WATCHMAN = Actor(name="patience")

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_HELD = select(
    CONVERSATIONS.c.id, CONVERSATIONS.c.person_id, CONVERSATIONS.c.taken_over_by, CONVERSATIONS.c.taken_over_at
).where(
    CONVERSATIONS.c.closed_at.is_(None),
    CONVERSATIONS.c.taken_over_by.is_not(None),
    ~exists().where(  # in the platform's own app: that is ended there
        SEND_BUDGETS.c.channel == CONVERSATIONS.c.channel,
        SEND_BUDGETS.c.account == CONVERSATIONS.c.account,
        SEND_BUDGETS.c.chat_id == CONVERSATIONS.c.chat_id,
        SEND_BUDGETS.c.platform_holder == CONVERSATIONS.c.taken_over_by,
    ),
)


class TakeoverTimeout:
    """Checks all takeovers on each `end_forgotten`; safe in several processes and at any interval."""

    def __init__(self, *, database: Database, office: Office, minutes: int, clock: Clock = utc_now) -> None:
        self._database = database
        self._office = office
        self._minutes = minutes
        self._clock = clock

    def end_forgotten(self) -> None:
        """End forgotten takeovers, each in a transaction of its own; raises `DatabaseUnavailable`."""
        with self._database.read() as session:
            forgotten = forgotten_since(session, self._clock() - timedelta(minutes=self._minutes))
        for conversation_id in forgotten:
            try:
                with self._database.begin() as session:
                    give_back(session, self._office, conversation_id, minutes=self._minutes, now=self._clock())
            except (ConversationClosed, Erased):  # in the meantime
                continue
            except (WrongSecretKey, Unreadable) as error:  # another process may have the key; the others need not wait
                reason = type(error).__name__
                log.error("takeover_not_ended", conversation_id=str(conversation_id), error=reason)  # noqa: TRY400 - expected
                continue
            log.warning("takeover_forgotten", conversation_id=str(conversation_id))


def forgotten_since(session: Session, moment: datetime) -> list[UUID]:
    """Conversations whose person has been waiting for the admin since `moment` or longer."""
    forgotten = []
    for held in session.execute(_HELD.where(CONVERSATIONS.c.taken_over_at <= moment)):
        waits_since = _waits_since(session, held.id, held.person_id, held.taken_over_at)
        if waits_since is not None and waits_since <= moment:
            forgotten.append(held.id)
    return forgotten


def give_back(session: Session, office: Office, conversation_id: UUID, *, minutes: int, now: datetime) -> None:
    """End a takeover on behalf of its admin; the person, the holder and all admins are told.

    Raises `ConversationClosed`, `Erased`; does nothing if it has ended already.
    """
    held = locked(session, office, conversation_id)
    if held.holder is None:
        return
    reason = f"no answer for {minutes} minutes"
    audit.note(session, actor=WATCHMAN.name, action=Action.RELEASE, whom=held.whom, reason=reason, now=now)
    end_takeover(session, office, held, by=WATCHMAN, now=now)
    short_id = find.short_id(session, held.id)
    words = office.texts.say("takeover_forgotten", id=short_id, holder=held.holder, minutes=minutes)
    alerts.alert(session, office, words, conversation_id=held.id, now=now)
    case_id = handling.of_conversation(session, held.id)
    if case_id is not None:
        handling.give_back(session, office, case_id, by=WATCHMAN, reason=reason, now=now)


def _waits_since(session: Session, conversation_id: UUID, person_id: UUID, taken_over_at: datetime) -> datetime | None:
    """When the first unanswered message arrived. Before the admin has said anything: when they took over."""
    said_at = session.scalar(
        select(func.max(DELIVERIES.c.created_at)).where(
            DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.kind == DeliveryKind.HUMAN
        )
    )
    if said_at is None or said_at < taken_over_at:
        return taken_over_at
    since: datetime | None = session.scalar(
        select(func.min(MESSAGES.c.received_at)).where(
            MESSAGES.c.person_id == person_id,
            MESSAGES.c.conversation_id == conversation_id,
            MESSAGES.c.received_at > said_at,
        )
    )
    return since
