"""Finds turns whose task message was lost or whose worker died, and texts whose courier died.

Any number of processes may sweep; each turn is re-announced by one of them, with backoff. A sweep never waits for a
lock, because it holds many rows that others would then wait for; locked rows are left to the next sweep.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import and_, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import consent, outbox, people, sending
from dialogue.errors import Erased, Unreadable, WrongSecretKey
from dialogue.messages import Address
from dialogue.states import HELD_RING_COUNT, DeliveryKind, TurnState
from dialogue.storage import after_commit
from dialogue.storage.vault import MasterKeys
from dialogue.tables import CONVERSATIONS, IS_OPEN_TURN, TURNS

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RING_SECONDS = 2.0
MAX_RING_SECONDS = 32.0
_DOUBLINGS = 4  # 2, 4, 8, 16, 32 seconds

_IS_ORPHAN = and_(TURNS.c.state == TurnState.GENERATING, TURNS.c.lease_until <= bindparam("now"))
_EARLIER = TURNS.alias()
_IS_HEAD = ~exists().where(
    _EARLIER.c.conversation_id == TURNS.c.conversation_id,
    _EARLIER.c.state == TurnState.GENERATING,  # there is at most one, and a waiting turn is always the last
    _EARLIER.c.id != TURNS.c.id,
)
# not announced since it was claimed or released, or the n-th announcement was long enough ago
_IS_SILENT = or_(
    TURNS.c.ring_count == 0,
    and_(TURNS.c.ring_count == HELD_RING_COUNT, TURNS.c.rung_at <= bindparam("now")),
    *(
        and_(TURNS.c.ring_count == count, TURNS.c.rung_at <= bindparam(f"after_{count}"))
        for count in range(1, _DOUBLINGS + 1)
    ),
    TURNS.c.rung_at <= bindparam("after_many"),
)
_UNHEARD = (
    select(TURNS.c.id)
    .where(IS_OPEN_TURN, or_(TURNS.c.state == TurnState.WAITING, _IS_ORPHAN), _IS_HEAD, _IS_SILENT)
    .with_for_update(skip_locked=True, of=TURNS)
    .cte("unheard")
)
_RING = (
    update(TURNS)
    .where(TURNS.c.id.in_(select(_UNHEARD.c.id)))
    .values(rung_at=bindparam("now"), ring_count=TURNS.c.ring_count + 1)
    .returning(TURNS.c.conversation_id)
)
_HOPELESS = (
    select(TURNS.c.id)
    .where(_IS_ORPHAN, TURNS.c.attempt >= bindparam("max_attempts"))
    .with_for_update(skip_locked=True)
    .cte("hopeless")
)
_FAIL_HOPELESS = (
    update(TURNS)
    .where(TURNS.c.id.in_(select(_HOPELESS.c.id)))
    .values(state=TurnState.FAILED, error="attempts", finished_at=bindparam("now"))
    .returning(TURNS.c.id, TURNS.c.conversation_id)
)
_CONVERSATION = select(
    CONVERSATIONS.c.person_id, CONVERSATIONS.c.channel, CONVERSATIONS.c.account, CONVERSATIONS.c.chat_id
).where(CONVERSATIONS.c.id == bindparam("conversation_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found: conversations to announce, and the number of texts whose courier died."""

    conversation_ids: list[UUID]
    abandoned_count: int


def sweep(session: Session, keys: MasterKeys, *, apology: str, max_attempts: int, now: datetime) -> Swept:
    """One sweep. `apology` is sent to a person whose turn failed `max_attempts` times."""
    hopeless = session.execute(_FAIL_HOPELESS, {"max_attempts": max_attempts, "now": now}).all()
    for turn_id, conversation_id in hopeless:
        _apologise(session, keys, apology, turn_id=turn_id, conversation_id=conversation_id, now=now)
    abandoned_count = sending.settle_abandoned(session, now=now)
    consent.expire(session, now=now)
    rung = session.scalars(_RING, {"now": now, **_ring_times(now)}).all()
    for conversation_id in rung:
        after_commit.ring(session, conversation_id)
    return Swept(conversation_ids=list(rung), abandoned_count=abandoned_count)


def _ring_times(now: datetime) -> dict[str, datetime]:
    """A turn is announced again if its n-th announcement was before the n-th of these times."""
    times = {
        f"after_{count}": now - timedelta(seconds=RING_SECONDS * 2 ** (count - 1)) for count in range(1, _DOUBLINGS + 1)
    }
    return times | {"after_many": now - timedelta(seconds=MAX_RING_SECONDS)}


def _apologise(
    session: Session, keys: MasterKeys, apology: str, *, turn_id: UUID, conversation_id: UUID, now: datetime
) -> None:
    """No apology to a person who was erased."""
    held_at = session.execute(_CONVERSATION, {"conversation_id": conversation_id}).one()
    try:
        key = people.key_of(session, keys, held_at.person_id)
    except (Erased, Unreadable, WrongSecretKey) as trouble:
        log.warning("apology_not_sent", turn_id=str(turn_id), error=type(trouble).__name__)
        return
    outbox.owe(
        session,
        key,
        person_id=held_at.person_id,
        address=Address.of(held_at),
        text=apology,
        kind=DeliveryKind.NOTICE,
        conversation_id=conversation_id,
        turn_id=turn_id,
        now=now,
    )
