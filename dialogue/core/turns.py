"""A turn's state transitions: extend, complete, fail, release. The row is the source of truth.

Only a turn's owner may answer it, and only while its conversation is open. The owner counts as alive until its lease
expires. `dialogue.core.turn_claims` and `dialogue.core.turn_completions` do it for many turns at once.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, exists, update
from sqlalchemy.orm import Session

from dialogue.core import outbox
from dialogue.core.history import PastTurn
from dialogue.messages import Address
from dialogue.states import DeliveryKind, TurnState
from dialogue.storage.vault import PersonKey
from dialogue.tables import CONVERSATIONS, TURNS

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
ANSWERED_COLUMNS = (
    "state",
    "reply",
    "prompt_tokens",
    "reply_tokens",
    "first_token_at",
    "finished_at",
    "model_version",
    "prompt_version",
)
"""What a reply sets, from bound values of the names `new_…` (`answered`)."""
_ANSWER = _FINISH.values({name: bindparam(f"new_{name}") for name in ANSWERED_COLUMNS})
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
    claimed_at: datetime
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
    row = session.execute(_ANSWER, answered(turn, reply, now=now) | _fence(turn, owner)).first()
    if row is None:
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
    return _owe(session, turn, with_postscript(turn, reply.text, row.postscript), kind=DeliveryKind.REPLY, now=now)


def answered(turn: ClaimedTurn, reply: FinishedReply, *, now: datetime) -> dict[str, object]:
    """The bound values of `ANSWERED_COLUMNS`."""
    return {
        "new_state": TurnState.ANSWERED,
        "new_reply": turn.key.seal(reply.text, row=turn.id, column="turns.reply"),
        "new_prompt_tokens": reply.prompt_tokens,
        "new_reply_tokens": reply.reply_tokens,
        "new_first_token_at": reply.first_token_at,
        "new_finished_at": now,
        "new_model_version": reply.model_version,
        "new_prompt_version": reply.prompt_version,
    }


def fail(session: Session, turn: ClaimedTurn, apology: str, *, error: str, owner: UUID, now: datetime) -> UUID | None:
    """Mark the turn failed and queue an apology; None if this owner no longer holds it."""
    values: dict[str, object] = {"new_state": TurnState.FAILED, "new_error": error, "new_finished_at": now}
    failed = session.execute(_FAIL, values | _fence(turn, owner)).first()
    if failed is None:
        return None
    return _owe(session, turn, with_postscript(turn, apology, failed.postscript), kind=DeliveryKind.NOTICE, now=now)


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


def with_postscript(turn: ClaimedTurn, text: str, sealed: bytes | None) -> str:
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
