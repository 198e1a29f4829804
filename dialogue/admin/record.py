"""One conversation in figures, without its texts; and its transcript, whose every reading is audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from care.texts import Texts
from dialogue.admin import audit, find
from dialogue.admin.audit import Action, Entry, Whom
from dialogue.admin.listing import Listed, one
from dialogue.admin.office import Actor, Office
from dialogue.core import media, medium_words, outbox, people
from dialogue.core.media import SeenMedium
from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.errors import NoSuchConversation
from dialogue.messages import Address
from dialogue.states import DeliveryKind, DeliveryState, TurnState
from dialogue.storage.vault import PersonKey
from dialogue.tables import CONVERSATIONS, DELIVERIES, MESSAGES, TURNS

_WHOLE = 100_000
_TOLD_KINDS = (DeliveryKind.NOTICE, DeliveryKind.CRISIS, DeliveryKind.HUMAN)


class TranscriptSpeaker(StrEnum):
    """Who said something in a transcript."""

    PERSON = "person"
    MODEL = "model"
    BOT = "bot"  # our own words, written beforehand
    HUMAN = "human"  # an admin's, while the conversation was taken over


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFigures:
    """A turn in figures."""

    id: UUID
    seq: int
    state: TurnState
    attempt: int
    error: str | None
    created_at: datetime
    claimed_at: datetime | None
    first_token_at: datetime | None
    finished_at: datetime | None
    prompt_tokens: int | None
    reply_tokens: int | None
    model_version: str | None
    prompt_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFigures:
    """A delivery without its text."""

    id: UUID
    turn_id: UUID | None
    kind: DeliveryKind
    part: int
    state: DeliveryState
    attempt: int
    error: str | None
    created_at: datetime
    next_attempt_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The newest turns, deliveries and audit lines come first."""

    conversation: Listed
    turns: list[TurnFigures]
    deliveries: list[DeliveryFigures]
    entries: list[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Something that was said. `state` is its delivery's; None for what the person wrote.

    What a person showed has no text.
    """

    at: datetime
    speaker: TranscriptSpeaker
    text: str = field(repr=False)
    state: DeliveryState | None = None
    medium: SeenMedium | None = None


_TURN_COLUMNS = [TURNS.c[name] for name in TurnFigures.__slots__]
_DELIVERY_COLUMNS = [DELIVERIES.c[name] for name in DeliveryFigures.__slots__]


def show(session: Session, conversation_id: UUID, *, max_count: int = 50) -> Record:
    """`max_count` bounds each of the lists. Raises `NoSuchConversation`."""
    conversation = one(session, conversation_id)
    if conversation is None:
        raise NoSuchConversation
    turns = select(*_TURN_COLUMNS).where(TURNS.c.conversation_id == conversation_id)
    deliveries = select(*_DELIVERY_COLUMNS).where(
        DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.part > PLACEHOLDER_PART
    )
    newest_turns = session.execute(turns.order_by(TURNS.c.seq.desc()).limit(max_count)).mappings()
    newest_deliveries = session.execute(deliveries.order_by(DELIVERIES.c.id.desc()).limit(max_count)).mappings()
    return Record(
        conversation=conversation,
        turns=[TurnFigures(**row) for row in newest_turns],
        deliveries=[DeliveryFigures(**row) for row in newest_deliveries],
        entries=audit.entries(session, conversation_id=conversation_id, limit=max_count),
    )


def transcript(
    session: Session,
    office: Office,
    conversation_id: UUID,
    *,
    by: Actor,
    reason: str | None = None,
    max_lines: int = 200,
    now: datetime,
) -> list[Utterance]:
    """The last things that were said, oldest first. Reading them is audited.

    Raises `NoSuchConversation`, `Erased`, `WrongSecretKey`.
    """
    lines = read_on(session, office, conversation_id, by=by, max_lines=max_lines, now=now)
    whom = Whom(person_id=_person_of(session, conversation_id), conversation_id=conversation_id)
    audit.note(session, actor=by.name, action=Action.READ, whom=whom, reason=reason, now=now)
    return lines


def read_on(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, max_lines: int = 200, now: datetime
) -> list[Utterance]:
    """The same again in one sitting, whose beginning was audited. Raises what `transcript` does."""
    del by, now
    conversation = one(session, conversation_id)
    if conversation is None:
        raise NoSuchConversation
    key = people.key_of(session, office.keys, conversation.person_id)
    lines = [
        *_heard(session, key, conversation, max_lines),
        *_replied(session, key, conversation_id, max_lines),
        *_told(session, key, conversation_id, max_lines),
        *_showed(session, key, conversation_id, max_lines),
    ]
    return sorted(lines, key=lambda line: line.at)[-max_lines:]


def laid_out(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str, now: datetime
) -> list[Utterance]:
    """The whole conversation, to be printed for a referral, which is audited with its reason.

    Raises what `transcript` does, and `ReasonTooLong`.
    """
    lines = read_on(session, office, conversation_id, by=by, max_lines=_WHOLE, now=now)
    whom = Whom(person_id=_person_of(session, conversation_id), conversation_id=conversation_id)
    audit.note(session, actor=by.name, action=Action.PRINT, whom=whom, reason=reason, now=now)
    return lines


def hand_over(
    session: Session,
    office: Office,
    conversation_id: UUID,
    *,
    to: Address,
    by: Actor,
    reason: str | None = None,
    max_lines: int = 20,
    now: datetime,
) -> None:
    """Owe an admin's chat the end of a transcript, sealed with the person's key: erasing them erases this too.

    Raises what `transcript` does.
    """
    lines = transcript(session, office, conversation_id, by=by, reason=reason, max_lines=max_lines, now=now)
    say = office.texts.say
    words = [f"{say(f'desk_speaker_{line.speaker}')}：{in_words(line, office.texts)}" for line in lines]
    words = words or [say("desk_transcript_empty")]
    short_id = find.short_id(session, conversation_id)
    person_id = _person_of(session, conversation_id)
    outbox.owe(
        session,
        people.key_of(session, office.keys, person_id),
        person_id=person_id,
        address=to,
        text="\n".join([say("desk_transcript", id=short_id), *words]),
        kind=DeliveryKind.RELAY,
        conversation_id=conversation_id,
        now=now,
    )


def in_words(line: Utterance, texts: Texts) -> str:
    """What was said, or what there is to see, where only words can be shown."""
    medium = line.medium
    if medium is None:
        return line.text
    return medium_words.in_brackets(medium, texts)


def _person_of(session: Session, conversation_id: UUID) -> UUID:
    query = select(CONVERSATIONS.c.person_id).where(CONVERSATIONS.c.id == conversation_id)
    person_id: UUID = session.scalars(query).one()
    return person_id


def _heard(session: Session, key: PersonKey, conversation: Listed, limit: int) -> list[Utterance]:
    messages = (
        select(MESSAGES.c.id, MESSAGES.c.text, MESSAGES.c.received_at.label("at"))
        # by the person, whose messages are few and have an index
        .where(MESSAGES.c.person_id == conversation.person_id, MESSAGES.c.conversation_id == conversation.id)
        .order_by(MESSAGES.c.id.desc())
        .limit(limit)
    )
    rows = session.execute(messages).all()
    return _opened(rows, key, column="messages.text", speaker=lambda _row: TranscriptSpeaker.PERSON)


def _replied(session: Session, key: PersonKey, conversation_id: UUID, limit: int) -> list[Utterance]:
    """Replies are whole in their turns; their deliveries may be parts."""
    replies = (
        select(TURNS.c.id, TURNS.c.reply.label("text"), TURNS.c.finished_at.label("at"))
        .where(TURNS.c.conversation_id == conversation_id, TURNS.c.state == TurnState.ANSWERED)
        .order_by(TURNS.c.seq.desc())
        .limit(limit)
    )
    rows = session.execute(replies).all()
    return _opened(rows, key, column="turns.reply", speaker=lambda _row: TranscriptSpeaker.MODEL)


def _told(session: Session, key: PersonKey, conversation_id: UUID, limit: int) -> list[Utterance]:
    told = (
        select(
            DELIVERIES.c.id,
            DELIVERIES.c.text,
            DELIVERIES.c.created_at.label("at"),
            DELIVERIES.c.kind,
            DELIVERIES.c.state,
        )
        .where(DELIVERIES.c.conversation_id == conversation_id, DELIVERIES.c.kind.in_(_TOLD_KINDS))
        .order_by(DELIVERIES.c.id.desc())
        .limit(limit)
    )
    rows = session.execute(told).all()
    return _opened(
        rows,
        key,
        column="deliveries.text",
        speaker=lambda row: TranscriptSpeaker.HUMAN if row.kind is DeliveryKind.HUMAN else TranscriptSpeaker.BOT,
    )


def _showed(session: Session, key: PersonKey, conversation_id: UUID, limit: int) -> list[Utterance]:
    seen = media.of_conversation(session, key, conversation_id, limit=limit)
    return [Utterance(at=one.received_at, speaker=TranscriptSpeaker.PERSON, text="", medium=one) for one in seen[::-1]]


def _opened(
    rows: Sequence[Row[*tuple[Any, ...]]],
    key: PersonKey,
    *,
    column: str,
    speaker: Callable[[Row[*tuple[Any, ...]]], TranscriptSpeaker],
) -> list[Utterance]:
    """Oldest first, as rows that were made in one transaction have one time."""
    lines = []
    for row in reversed(rows):
        text = key.open(row.text, row=row.id, column=column) if row.text is not None else ""
        if text:
            lines.append(Utterance(at=row.at, speaker=speaker(row), text=text, state=_state(row)))
    return lines


def _state(row: Row[*tuple[Any, ...]]) -> DeliveryState | None:
    return getattr(row, "state", None)
