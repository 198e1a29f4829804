"""A turn's state transitions: claim, extend, complete, fail, release. The row is the source of truth.

Only a turn's owner may answer it, and only while its conversation is open. The owner counts as alive until its lease
expires.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, exists, select, union_all, update
from sqlalchemy.orm import Session

from care.age import AgeBand
from care.screening import Tier
from dialogue.core import outbox
from dialogue.core.history import PastTurn, past_turns, words_of
from dialogue.errors import Erased
from dialogue.messages import Address
from dialogue.states import HELD_RING_COUNT, OPEN_TURN_STATES, DeliveryKind, TurnState
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, PEOPLE, TURNS, spelled_out

# one query per state: each uses a partial index, however long the conversation is
_OPEN = union_all(
    *(
        select(TURNS.c.id, TURNS.c.seq).where(
            TURNS.c.conversation_id == bindparam("of_conversation"), TURNS.c.state.in_(spelled_out(state))
        )
        for state in OPEN_TURN_STATES
    )
).subquery()
_HEAD = select(_OPEN.c.id).order_by(_OPEN.c.seq).limit(1).scalar_subquery()
_IS_DUE = (TURNS.c.state == TurnState.WAITING) & (
    (TURNS.c.ring_count != HELD_RING_COUNT) | (TURNS.c.rung_at <= bindparam("now"))
)
_LEASE_IS_OVER = (TURNS.c.state == TurnState.GENERATING) & (TURNS.c.lease_until <= bindparam("now"))
# the state is checked again outside the subquery: a claim that waited for another must see what that one wrote
_CLAIM = (
    update(TURNS)
    .where(TURNS.c.id == _HEAD, _IS_DUE | _LEASE_IS_OVER)
    .values(
        state=TurnState.GENERATING,
        owner=bindparam("new_owner"),
        lease_until=bindparam("until"),
        attempt=TURNS.c.attempt + 1,
        ring_count=0,  # if this owner dies, the sweep re-announces the turn without delay
        claimed_at=bindparam("now"),
    )
    .returning(TURNS.c.id, TURNS.c.attempt)
)
_CONVERSATION = (
    select(
        CONVERSATIONS.c.person_id,
        CONVERSATIONS.c.channel,
        CONVERSATIONS.c.account,
        CONVERSATIONS.c.chat_id,
        CONVERSATIONS.c.epoch,
        CONVERSATIONS.c.tier,
        CONVERSATIONS.c.course,
        PEOPLE.c.data_key,
        PEOPLE.c.age_band,
        PEOPLE.c.language,
    )
    .join(PEOPLE, PEOPLE.c.id == CONVERSATIONS.c.person_id)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
)
_UNDER_AGE = frozenset({AgeBand.CHILD, AgeBand.MINOR})
_HELD = (TURNS.c.owner == bindparam("by_owner"), TURNS.c.state == TurnState.GENERATING)
_EXTEND = (
    update(TURNS)
    .where(TURNS.c.id.in_(bindparam("turn_ids", expanding=True)), *_HELD)
    .values(lease_until=bindparam("until"))
    .returning(TURNS.c.id)
)
_LET_GO = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("turn_id"), *_HELD)
    .values(lease_until=bindparam("now"), attempt=TURNS.c.attempt - bindparam("uncounted"), ring_count=0)
)
_DISCARD = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("turn_id"), *_HELD)
    .values(state=TurnState.DISCARDED, finished_at=bindparam("now"))
)
# the fence: the owner and the conversation's epoch must match
_FINISH = (
    update(TURNS)
    .where(
        TURNS.c.id == bindparam("turn_id"),
        *_HELD,
        exists().where(
            CONVERSATIONS.c.id == bindparam("of_conversation"),
            CONVERSATIONS.c.epoch == bindparam("of_epoch"),
            CONVERSATIONS.c.closed_at.is_(None),
        ),
    )
    .returning(TURNS.c.id, TURNS.c.postscript)
)
_ANSWER = _FINISH.values(
    {
        name: bindparam(f"new_{name}")
        for name in (
            "state",
            "reply",
            "prompt_tokens",
            "reply_tokens",
            "first_token_at",
            "finished_at",
            "model_version",
            "prompt_version",
        )
    }
)
_FAIL = _FINISH.values({name: bindparam(f"new_{name}") for name in ("state", "error", "finished_at")})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTurn:
    """A turn that the caller now owns, with everything needed to answer it."""

    id: UUID
    conversation_id: UUID
    person_id: UUID
    address: Address
    epoch: int
    attempt: int
    text: str = field(repr=False)
    history: list[PastTurn] = field(repr=False)
    key: PersonKey = field(repr=False)
    tier: int = 0  # of the person's course
    language: str | None = None  # of the person
    needs_care: bool = False  # the person is in danger, or under age: the guard is stricter


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedReply:
    """The result of a generation."""

    text: str = field(repr=False)
    prompt_tokens: int
    reply_tokens: int
    first_token_at: datetime
    model_version: str
    prompt_version: str


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
    """Claim the conversation's first open turn if it has no owner, or if the owner's lease expired.

    None means nothing to do: no open turn, or another worker has it. `max_turns` bounds the
    history that is read: the first turn and the last ones. The turn of a person who was erased is discarded.
    Raises `WrongSecretKey`.
    """
    until = now + timedelta(seconds=lease_seconds)
    turn = session.execute(
        _CLAIM, {"of_conversation": conversation_id, "new_owner": owner, "until": until, "now": now}
    ).first()
    if turn is None:
        return None
    held_at = session.execute(_CONVERSATION, {"conversation_id": conversation_id}).one()
    try:
        key = keys.person_key(held_at.data_key, held_at.person_id)
    except Erased:
        session.execute(_DISCARD, {"turn_id": turn.id, "by_owner": owner, "now": now})
        return None
    return ClaimedTurn(
        id=turn.id,
        conversation_id=conversation_id,
        person_id=held_at.person_id,
        address=Address.of(held_at),
        epoch=held_at.epoch,
        attempt=turn.attempt,
        text=words_of(session, key, [turn.id])[turn.id],
        history=past_turns(session, key, conversation_id, max_turns=max_turns, has_scripts=held_at.course is not None),
        key=key,
        tier=held_at.tier,
        language=held_at.language,
        needs_care=held_at.tier >= Tier.ACTIVE or held_at.age_band in _UNDER_AGE,
    )


def extend(session: Session, turn_ids: list[UUID], *, owner: UUID, until: datetime) -> set[UUID]:
    """Extend the leases of the turns that this owner still holds; returns those turns."""
    held = session.scalars(_EXTEND, {"turn_ids": turn_ids, "by_owner": owner, "until": until})
    return set(held)


def complete(
    session: Session,
    turn: ClaimedTurn,
    reply: FinishedReply,
    *,
    preface: str | None = None,
    owner: UUID,
    now: datetime,
) -> UUID | None:
    """Store the reply and its delivery, behind a `preface` in our own words; None if this owner lost the turn."""
    values: dict[str, object] = {
        "new_state": TurnState.ANSWERED,
        "new_reply": turn.key.seal(reply.text, row=turn.id, column="turns.reply"),
        "new_prompt_tokens": reply.prompt_tokens,
        "new_reply_tokens": reply.reply_tokens,
        "new_first_token_at": reply.first_token_at,
        "new_finished_at": now,
        "new_model_version": reply.model_version,
        "new_prompt_version": reply.prompt_version,
    }
    answered = session.execute(_ANSWER, values | _fence(turn, owner)).first()
    if answered is None:
        return None
    if preface is not None:
        outbox.owe(
            session,
            turn.key,
            person_id=turn.person_id,
            address=turn.address,
            text=preface,
            kind=DeliveryKind.NOTICE,
            conversation_id=turn.conversation_id,
            now=now,
        )
    return _owe(
        session, turn, _with_postscript(turn, reply.text, answered.postscript), kind=DeliveryKind.REPLY, now=now
    )


def fail(session: Session, turn: ClaimedTurn, apology: str, *, error: str, owner: UUID, now: datetime) -> UUID | None:
    """Mark the turn failed and queue an apology; None if this owner no longer holds it."""
    values: dict[str, object] = {"new_state": TurnState.FAILED, "new_error": error, "new_finished_at": now}
    failed = session.execute(_FAIL, values | _fence(turn, owner)).first()
    if failed is None:
        return None
    return _owe(session, turn, _with_postscript(turn, apology, failed.postscript), kind=DeliveryKind.NOTICE, now=now)


def give_back(session: Session, turn_id: UUID, *, owner: UUID, now: datetime) -> None:
    """Release the turn for another worker at once; the attempt does not count."""
    session.execute(_LET_GO, {"turn_id": turn_id, "by_owner": owner, "now": now, "uncounted": 1})


def retry(session: Session, turn_id: UUID, *, owner: UUID, now: datetime) -> None:
    """Release the turn for another attempt at once; the failed attempt counts."""
    session.execute(_LET_GO, {"turn_id": turn_id, "by_owner": owner, "now": now, "uncounted": 0})


def _fence(turn: ClaimedTurn, owner: UUID) -> dict[str, object]:
    return {
        "turn_id": turn.id,
        "by_owner": owner,
        "of_conversation": turn.conversation_id,
        "of_epoch": turn.epoch,
    }


def _with_postscript(turn: ClaimedTurn, text: str, sealed: bytes | None) -> str:
    """Append our own text to the reply as a paragraph of its own."""
    if sealed is None:
        return text
    return f"{text}\n\n{turn.key.open(sealed, row=turn.id, column='turns.postscript')}"


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
