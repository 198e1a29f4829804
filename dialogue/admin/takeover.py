"""An admin takes over a conversation: the model is not asked, the person's messages are relayed to the admin, and the
admin's replies are sent to the person, labelled as a human's. The person is told when a takeover begins and ends.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit, find
from dialogue.admin.audit import Action, Whom
from dialogue.admin.cases import handling
from dialogue.admin.office import Actor, Office
from dialogue.core import conversations, history, media_marks, outbox
from dialogue.core.cleaning import clean
from dialogue.errors import (
    AlreadyHeld,
    ConversationClosed,
    HeldByAnother,
    NoSuchConversation,
    NotTakenOver,
)
from dialogue.messages import Address
from dialogue.states import DeliveryKind
from dialogue.storage.ids import id_named
from dialogue.storage.vault import PersonKey
from dialogue.tables import CONVERSATIONS, DELIVERIES, PEOPLE, Delivery

ASKED_FOR = timedelta(minutes=2)
"""So long whoever holds a conversation may answer a colleague who wants it back; then the colleague may end it."""

_NO_LONGER_HELD = dict.fromkeys(
    (
        "taken_over_by",
        "taken_over_at",
        "relay_channel",
        "relay_account",
        "relay_chat_id",
        "release_asked_by",
        "release_asked_at",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An open conversation whose person is locked until the transaction ends."""

    id: UUID
    person_id: UUID
    address: Address
    holder: str | None
    relay_to: Address | None
    key: PersonKey
    release_asked_at: datetime | None = None

    @property
    def whom(self) -> Whom:
        return Whom(person_id=self.person_id, conversation_id=self.id)


def locked(session: Session, office: Office, conversation_id: UUID) -> Held:
    """Load an open conversation and lock its person until the transaction ends.

    Raises `NoSuchConversation`, `ConversationClosed`, `Erased`.
    """
    # lock the person first: intake does too, so the conversation read next is current
    person_id = session.scalar(select(CONVERSATIONS.c.person_id).where(CONVERSATIONS.c.id == conversation_id))
    if person_id is None:
        raise NoSuchConversation
    person = session.execute(
        select(PEOPLE.c.data_key).where(PEOPLE.c.id == person_id).with_for_update(key_share=True)
    ).one()
    row = session.execute(select(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id)).one()
    if row.closed_at is not None:
        raise ConversationClosed
    return Held(
        id=row.id,
        person_id=person_id,
        address=Address.of(row),
        holder=row.taken_over_by,
        relay_to=conversations.relay_address(row),
        release_asked_at=row.release_asked_at,
        key=office.keys.person_key(person.data_key, person_id),
    )


def take_over(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """Hand the conversation to an admin. Messages that the model has not answered yet are relayed instead.

    Raises `NoSuchConversation`, `ConversationClosed`, `AlreadyHeld`, `HeldByAnother`.
    """
    held = locked(session, office, conversation_id)
    if held.holder == by.name:
        raise AlreadyHeld
    if held.holder is not None:
        raise HeldByAnother(held.holder)
    cancelled = conversations.silence(session, held.id, now=now)
    session.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == held.id)
        .values(
            taken_over_by=by.name,
            taken_over_at=now,
            relay_channel=by.address.channel if by.address else None,
            relay_account=by.address.account if by.address else None,
            relay_chat_id=by.address.chat_id if by.address else None,
        )
    )
    audit.note(session, actor=by.name, action=Action.TAKE_OVER, whom=held.whom, reason=reason, now=now)
    handling.take_with(session, held.id, by=by, now=now)
    _owe(session, held, held.address, office.texts.say("takeover_begins"), DeliveryKind.NOTICE, now=now)
    if by.address is not None:
        unanswered = history.words_of(session, held.key, cancelled)
        for text in filter(None, unanswered.values()):
            relay(session, office, held, text, to=by.address, tier=0, now=now)


def release(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """Hand the conversation back to the model. Any admin may do this; the holder is told.

    Raises `NoSuchConversation`, `ConversationClosed`, `NotTakenOver`.
    """
    held = locked(session, office, conversation_id)
    if held.holder is None:
        raise NotTakenOver
    audit.note(session, actor=by.name, action=Action.RELEASE, whom=held.whom, reason=reason, now=now)
    end_takeover(session, office, held, by=by, now=now)


def ask_release(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> bool:
    """Give it back, or ask whoever holds it to do so; without an answer for `ASKED_FOR`, asking again ends it.

    True if it has ended. Raises `NoSuchConversation`, `ConversationClosed`, `NotTakenOver`.
    """
    held = locked(session, office, conversation_id)
    if held.holder is None:
        raise NotTakenOver
    was_asked = held.release_asked_at is not None and held.release_asked_at <= now - ASKED_FOR
    if held.holder == by.name or was_asked:
        release(session, office, conversation_id, by=by, reason=reason, now=now)
        return True
    if held.release_asked_at is None:
        asked = {"release_asked_by": by.name, "release_asked_at": now}
        session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == held.id).values(**asked))
        audit.note(session, actor=by.name, action=Action.ASK_RELEASE, whom=held.whom, reason=reason, now=now)
        if held.relay_to is not None:
            words = office.texts.say("takeover_release_asked", id=find.short_id(session, held.id), name=by.name)
            _owe(session, held, held.relay_to, words, DeliveryKind.RELAY, now=now)
    return False


def keep(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """The holder does not give it back. Raises `NoSuchConversation`, `ConversationClosed`, `HeldByAnother`."""
    held = locked(session, office, conversation_id)
    if held.holder != by.name:
        raise HeldByAnother(held.holder or "–")
    if held.release_asked_at is None:
        return
    answered = {"release_asked_by": None, "release_asked_at": None}
    session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == held.id).values(**answered))
    audit.note(session, actor=by.name, action=Action.KEEP, whom=held.whom, reason=reason, now=now)


def end_takeover(session: Session, office: Office, held: Held, *, by: Actor | None, now: datetime) -> None:
    """End the takeover, if there is one; the person and the holder are told.

    `by` None: the person ended the conversation, so they are not told.
    """
    if held.holder is None:
        return
    session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == held.id).values(**_NO_LONGER_HELD))
    if by is not None:
        _owe(session, held, held.address, office.texts.say("takeover_ends"), DeliveryKind.NOTICE, now=now)
    if held.relay_to is not None and (by is None or by.name != held.holder):
        ended = office.texts.say("takeover_ended", id=find.short_id(session, held.id))
        _owe(session, held, held.relay_to, ended, DeliveryKind.RELAY, now=now)


def end(session: Session, office: Office, conversation_id: UUID, *, now: datetime) -> None:
    """The person ended an open conversation or left the chat; the admin who holds it is told."""
    end_takeover(session, office, locked(session, office, conversation_id), by=None, now=now)


def say(
    session: Session,
    office: Office,
    conversation_id: UUID,
    text: str,
    *,
    by: Actor,
    max_length: int,
    once: UUID | None = None,
    now: datetime,
) -> None:
    """Send an admin's message to the person, labelled as a human's. `once`: a delivery id that makes a retry harmless.

    Raises `NoSuchConversation`, `ConversationClosed`, `NotTakenOver`, `HeldByAnother`, `EmptyMessage`,
    `MessageTooLong`.
    """
    words = clean(text, max_length=max_length)
    held = locked(session, office, conversation_id)
    if held.holder is None:
        raise NotTakenOver
    if held.holder != by.name:
        raise HeldByAnother(held.holder)
    if once is not None and session.get(Delivery, once) is not None:
        return
    labelled = office.texts.say("takeover_label") + words
    _owe(session, held, held.address, labelled, DeliveryKind.HUMAN, delivery_id=once, now=now)
    audit.note(session, actor=by.name, action=Action.SAY, whom=held.whom, reason=None, now=now)
    handling.see_conversation(session, held.id, by=by, now=now)


def relay(session: Session, office: Office, held: Held, text: str, *, to: Address, tier: int, now: datetime) -> None:
    """Owe the holder the person's message.

    It is sealed with the person's key: when they are erased, it is unreadable too.
    """
    short_id = find.short_id(session, held.id)
    head = office.texts.say("takeover_relay_at_risk" if tier else "takeover_relay", id=short_id, tier=tier)
    _owe(session, held, to, f"{head}\n{text}", DeliveryKind.RELAY, now=now)


def show(
    session: Session, held: Held, reference: str, *, to: Address, mark: str = "", sent_at: datetime, now: datetime
) -> None:
    """Owe the holder the sight of something that is no text, once; `reference` is the platform's name of it.

    `mark` tells apart what was one after the other in the same message.
    """
    once = id_named(f"{held.id} {reference} {mark}", at=sent_at)
    if session.get(Delivery, once) is None:
        _owe(session, held, to, media_marks.mark(reference), DeliveryKind.RELAY, delivery_id=once, now=now)


def show_kept(session: Session, held: Held, medium_id: UUID, *, to: Address, now: datetime) -> None:
    """The same for what was fetched, because the holder is not where the person is."""
    _owe(session, held, to, media_marks.mark_kept(medium_id), DeliveryKind.RELAY, now=now)


def regret(session: Session, held: Held, text: str, *, now: datetime) -> None:
    """Tell the person what the holder does not see after all."""
    _owe(session, held, held.address, text, DeliveryKind.NOTICE, now=now)


def held_by(session: Session, holder: str) -> list[UUID]:
    """The conversations that somebody has taken over, oldest first."""
    query = select(CONVERSATIONS.c.id).where(
        CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.taken_over_by == holder
    )
    return list(session.scalars(query.order_by(CONVERSATIONS.c.taken_over_at)))


def answered_conversation(session: Session, admin: Address, platform_message_id: str) -> UUID | None:
    """The conversation about which that message told an admin: what they mean when they reply to it."""
    query = select(DELIVERIES.c.conversation_id).where(
        DELIVERIES.c.channel == admin.channel,
        DELIVERIES.c.account.in_((admin.account, "")),
        DELIVERIES.c.chat_id == admin.chat_id,
        DELIVERIES.c.platform_message_id == platform_message_id,
        DELIVERIES.c.kind.in_((DeliveryKind.ALERT, DeliveryKind.RELAY)),
    )
    return session.scalar(query)


def _owe(
    session: Session,
    held: Held,
    to: Address,
    text: str,
    kind: DeliveryKind,
    *,
    delivery_id: UUID | None = None,
    now: datetime,
) -> None:
    outbox.owe(
        session,
        held.key,
        person_id=held.person_id,
        address=to,
        text=text,
        kind=kind,
        conversation_id=held.id,
        delivery_id=delivery_id,
        now=now,
    )
