"""The life of a turn: receive, claim, extend, complete, fail, give back. The row is the truth.

A turn is answered by whoever owns it, and only while its conversation is open; the lease says until when the owner
is believed to be alive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from dialogue import conversations, outbox, people
from dialogue.database import insert_or_ignore
from dialogue.history import PastTurn, past_turns, words_of
from dialogue.ids import new_id
from dialogue.messages import Address, InboundMessage
from dialogue.states import OPEN_TURN_STATES, DeliveryKind, TurnState
from dialogue.tables import Conversation, Message, Person, Turn
from dialogue.vault import MasterKeys, PersonKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Where a message went."""

    conversation_id: UUID
    turn_id: UUID
    is_new_turn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTurn:
    """A turn that the claimer now owns, with all that is needed to answer it."""

    id: UUID
    conversation_id: UUID
    person_id: UUID
    address: Address
    epoch: int
    attempt: int
    text: str = field(repr=False)
    history: list[PastTurn] = field(repr=False)
    key: PersonKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedReply:
    """What a generation brought."""

    text: str = field(repr=False)
    prompt_tokens: int
    reply_tokens: int
    first_token_at: datetime
    model_version: str
    prompt_version: str


def store_message(
    session: Session, keys: MasterKeys, person: Person, message: InboundMessage, *, text: str, now: datetime
) -> UUID | None:
    """Store a message with the cleaned `text`, sealed; None if its external id was stored before."""
    message_id = new_id()
    key = keys.person_key(person.data_key, person.id)
    values = {
        "id": message_id,
        "person_id": person.id,
        "channel": message.address.channel,
        "account": message.account,
        "external_id": message.external_id,
        "text": key.seal(text, row=message_id, column="messages.text"),
        "sent_at": message.sent_at,
        "received_at": now,
    }
    return message_id if insert_or_ignore(session, Message, values) else None


def receive(session: Session, person: Person, message_id: UUID, address: Address, *, now: datetime) -> Received:
    """Let a stored message join the waiting turn of its conversation, or open the next turn.

    The person must be locked, which makes numbers and the one waiting turn free of races.
    """
    conversation = conversations.open_for(session, person, address, now=now)
    turn_id = session.scalar(
        select(Turn.id)
        .where(Turn.conversation_id == conversation.id, Turn.state == TurnState.WAITING)
        .with_for_update(key_share=True)
    )
    is_new_turn = turn_id is None
    if turn_id is None:
        turn_id = _open_turn(session, conversation, now)
    session.execute(
        update(Message).where(Message.id == message_id).values(conversation_id=conversation.id, turn_id=turn_id)
    )
    return Received(conversation_id=conversation.id, turn_id=turn_id, is_new_turn=is_new_turn)


def claim(
    session: Session,
    keys: MasterKeys,
    conversation_id: UUID,
    *,
    owner: UUID,
    lease_seconds: float,
    max_turns: int,
    now: datetime,
) -> ClaimedTurn | None:
    """Take the conversation's first open turn if nobody has it, or if its owner's lease ran out.

    None means that there is nothing to do: no open turn, or another worker is at it. `max_turns` bounds the
    history that is read, newest last and the first turn always.
    """
    head = (
        select(Turn.id)
        .where(Turn.conversation_id == conversation_id, Turn.state.in_(OPEN_TURN_STATES))
        .order_by(Turn.seq)
        .limit(1)
        .scalar_subquery()
    )
    turn = session.execute(
        update(Turn)
        .where(Turn.id == head, _is_free(now))
        .values(
            state=TurnState.GENERATING,
            owner=owner,
            lease_until=now + timedelta(seconds=lease_seconds),
            attempt=Turn.attempt + 1,
            ring_count=0,  # if this owner dies, the sweep rings without delay
            claimed_at=now,
        )
        .returning(Turn.id, Turn.attempt)
    ).first()
    if turn is None:
        return None
    conversation = session.get_one(Conversation, conversation_id)
    key = people.key_of(session, keys, conversation.person_id)
    return ClaimedTurn(
        id=turn.id,
        conversation_id=conversation_id,
        person_id=conversation.person_id,
        address=Address(channel=conversation.channel, chat_id=conversation.chat_id),
        epoch=conversation.epoch,
        attempt=turn.attempt,
        text=words_of(session, key, [turn.id])[turn.id],
        history=past_turns(session, key, conversation_id, max_turns=max_turns),
        key=key,
    )


def extend(session: Session, turn_ids: list[UUID], *, owner: UUID, until: datetime) -> set[UUID]:
    """Prolong the leases of the turns that this owner still holds, and tell which those are."""
    still_held = session.scalars(
        update(Turn).where(Turn.id.in_(turn_ids), *_held_by(owner)).values(lease_until=until).returning(Turn.id)
    )
    return set(still_held)


def complete(session: Session, turn: ClaimedTurn, reply: FinishedReply, *, owner: UUID, now: datetime) -> UUID | None:
    """Write the reply and the delivery that owes it; None if the turn is no longer this owner's to answer."""
    values = {
        "state": TurnState.ANSWERED,
        "reply": turn.key.seal(reply.text, row=turn.id, column="turns.reply"),
        "prompt_tokens": reply.prompt_tokens,
        "reply_tokens": reply.reply_tokens,
        "first_token_at": reply.first_token_at,
    }
    if not _finish(session, turn, values, owner=owner, now=now):
        return None
    session.execute(
        update(Conversation)
        .where(Conversation.id == turn.conversation_id)
        .values(model_version=reply.model_version, prompt_version=reply.prompt_version)
    )
    return _owe(session, turn, reply.text, kind=DeliveryKind.REPLY, now=now)


def fail(session: Session, turn: ClaimedTurn, apology: str, *, error: str, owner: UUID, now: datetime) -> UUID | None:
    """Give the turn up and owe the person an honest word; None if it is no longer this owner's."""
    values = {"state": TurnState.FAILED, "error": error}
    if not _finish(session, turn, values, owner=owner, now=now):
        return None
    return _owe(session, turn, apology, kind=DeliveryKind.NOTICE, now=now)


def give_back(session: Session, turn_id: UUID, *, owner: UUID, now: datetime) -> None:
    """Let another worker have the turn at once; the try does not count."""
    session.execute(
        update(Turn).where(Turn.id == turn_id, *_held_by(owner)).values(lease_until=now, attempt=Turn.attempt - 1)
    )


def retry(session: Session, turn_id: UUID, *, owner: UUID, now: datetime) -> None:
    """Let the turn be tried again at once; the failed try counts."""
    session.execute(update(Turn).where(Turn.id == turn_id, *_held_by(owner)).values(lease_until=now, ring_count=0))


def _open_turn(session: Session, conversation: Conversation, now: datetime) -> UUID:
    conversation.turn_count += 1
    turn = Turn(
        conversation_id=conversation.id,
        seq=conversation.turn_count,
        state=TurnState.WAITING,
        rung_at=now,
        created_at=now,
    )
    session.add(turn)
    session.flush()
    return turn.id


def _is_free(now: datetime) -> ColumnElement[bool]:
    return (Turn.state == TurnState.WAITING) | ((Turn.state == TurnState.GENERATING) & (Turn.lease_until <= now))


def _held_by(owner: UUID) -> tuple[ColumnElement[bool], ...]:
    return Turn.owner == owner, Turn.state == TurnState.GENERATING


def _finish(session: Session, turn: ClaimedTurn, values: Mapping[str, object], *, owner: UUID, now: datetime) -> bool:
    """The fence: by owner and by the conversation's epoch."""
    is_same_epoch = exists().where(
        Conversation.id == turn.conversation_id, Conversation.epoch == turn.epoch, Conversation.closed_at.is_(None)
    )
    finished = session.execute(
        update(Turn)
        .where(Turn.id == turn.id, *_held_by(owner), is_same_epoch)
        .values({**values, "finished_at": now})
        .returning(Turn.id)
    )
    return finished.first() is not None


def _owe(session: Session, turn: ClaimedTurn, text: str, *, kind: DeliveryKind, now: datetime) -> UUID:
    return outbox.owe(
        session,
        turn.key,
        person_id=turn.person_id,
        address=turn.address,
        text=text,
        kind=kind,
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        now=now,
    )
