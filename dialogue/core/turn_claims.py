"""A worker claims all the turns that are open, up to its room, in one statement, and reads what answering them takes.

Rows that others have locked are left for the next look, so that no claim ever waits.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, and_, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session

from care.age import AgeBand
from care.screening import Tier
from dialogue.core import history
from dialogue.core.history import Told
from dialogue.core.turns import ClaimedTurn
from dialogue.errors import Erased, Unreadable, WrongSecretKey
from dialogue.messages import Address
from dialogue.states import HELD_RING_COUNT, TurnState
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, IS_OPEN_TURN, PEOPLE, TURNS

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_UNREADABLE_SECONDS = 5.0
"""Until a turn is claimed again whose words could not be read."""

_EARLIER = TURNS.alias()
_IS_HEAD = ~exists().where(
    _EARLIER.c.conversation_id == TURNS.c.conversation_id,
    _EARLIER.c.state == TurnState.GENERATING,  # there is at most one, and a waiting turn is always the last
    _EARLIER.c.id != TURNS.c.id,
)
_IS_DUE = and_(
    TURNS.c.state == TurnState.WAITING, or_(TURNS.c.ring_count != HELD_RING_COUNT, TURNS.c.rung_at <= bindparam("now"))
)
_IS_ORPHAN = and_(
    TURNS.c.state == TurnState.GENERATING,
    TURNS.c.lease_until <= bindparam("now"),
    TURNS.c.attempt < bindparam("max_attempts"),  # the sweep ends the others with an apology
)
# the oldest first, and not by id: SQLite would read all turns in that order; the lock is the one that an intake's
# foreign key does not wait for
_OPEN = (
    select(TURNS.c.id)
    .where(IS_OPEN_TURN, or_(_IS_DUE, _IS_ORPHAN), _IS_HEAD)
    .order_by(TURNS.c.created_at, TURNS.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True, of=TURNS)
)


def _claiming(found: Any) -> Any:
    return (
        update(TURNS)
        .where(TURNS.c.id.in_(select(found.c.id)))
        .values(
            state=TurnState.GENERATING,
            owner=bindparam("new_owner"),
            lease_until=bindparam("until"),
            attempt=TURNS.c.attempt + 1,
            ring_count=0,  # if this owner dies, the sweep re-announces the turn without delay
            claimed_at=bindparam("now"),
        )
        .returning(TURNS.c.id, TURNS.c.conversation_id, TURNS.c.attempt, TURNS.c.claimed_at)
    )


_CLAIM_OPEN = _claiming(_OPEN.cte("open_turns"))
_CLAIM_OF = _claiming(_OPEN.where(TURNS.c.conversation_id == bindparam("of_conversation")).cte("open_turns"))
_CONVERSATIONS = (
    select(
        CONVERSATIONS.c.id,
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
    .where(CONVERSATIONS.c.id.in_(bindparam("conversation_ids", expanding=True)))
)
_UNDER_AGE = frozenset({AgeBand.CHILD, AgeBand.MINOR})
_OURS = (TURNS.c.id == bindparam("turn_id"), TURNS.c.owner == bindparam("by_owner"))
_DISCARD = update(TURNS).where(*_OURS).values(state=TurnState.DISCARDED, finished_at=bindparam("now"))
_PUT_OFF = update(TURNS).where(*_OURS).values(lease_until=bindparam("until"), attempt=TURNS.c.attempt - 1)


def claim_open(
    session: Session,
    keys: MasterKeys,
    *,
    owner: UUID,
    lease_seconds: float,
    limit: int,
    max_attempts: int,
    max_turns: int,
    now: datetime,
    conversation_id: UUID | None = None,
) -> list[ClaimedTurn]:
    """Claim up to `limit` turns that have no owner or whose owner's lease expired, the oldest first.

    Of a conversation only the first open turn is claimed. `max_turns` bounds the history that is read: the first turn
    and the last ones. The turn of a person who was erased is discarded; one whose words this process cannot read is put
    off for seconds, and the try does not count.
    """
    until = now + timedelta(seconds=lease_seconds)
    values = {"limit": limit, "max_attempts": max_attempts, "new_owner": owner, "until": until, "now": now}
    if conversation_id is None:
        claimed = session.execute(_CLAIM_OPEN, values).all()
    else:
        claimed = session.execute(_CLAIM_OF, values | {"of_conversation": conversation_id}).all()
    if not claimed:
        return []
    conversation_ids = [turn.conversation_id for turn in claimed]
    found: Iterable[Any] = session.execute(_CONVERSATIONS, {"conversation_ids": conversation_ids})
    places: dict[UUID, Row[Any]] = {place.id: place for place in found}
    people: dict[UUID, PersonKey] = {}
    for turn in claimed:
        place = places[turn.conversation_id]
        try:
            people[turn.id] = keys.person_key(place.data_key, place.person_id)
        except Erased:
            session.execute(_DISCARD, {"turn_id": turn.id, "by_owner": owner, "now": now})
        except (Unreadable, WrongSecretKey) as error:
            _put_off(session, turn, error, owner=owner, now=now)
    readable = sorted(turn for turn in claimed if turn.id in people)
    try:
        return _read(session, readable, places, people, max_turns)
    except Unreadable:
        return _read_one_by_one(session, readable, places, people, max_turns, owner=owner, now=now)


def _read_one_by_one(
    session: Session,
    claimed: Sequence[Row[Any]],
    places: dict[UUID, Row[Any]],
    people: dict[UUID, PersonKey],
    max_turns: int,
    *,
    owner: UUID,
    now: datetime,
) -> list[ClaimedTurn]:
    """One row that cannot be read holds up its own conversation and no other."""
    turns = []
    for turn in claimed:
        try:
            turns += _read(session, [turn], places, people, max_turns)
        except Unreadable as error:
            _put_off(session, turn, error, owner=owner, now=now)
    return turns


def _read(
    session: Session,
    claimed: Sequence[Row[Any]],
    places: dict[UUID, Row[Any]],
    people: dict[UUID, PersonKey],
    max_turns: int,
) -> list[ClaimedTurn]:
    told = {
        turn.conversation_id: Told(key=people[turn.id], has_scripts=places[turn.conversation_id].course is not None)
        for turn in claimed
    }
    keys = {turn.id: people[turn.id] for turn in claimed}
    past, words = history.past_and_words(session, told, keys, max_turns=max_turns)
    return [
        _claimed(turn, places[turn.conversation_id], people[turn.id], words[turn.id], past[turn.conversation_id])
        for turn in claimed
    ]


def _claimed(turn: Row[Any], place: Row[Any], key: PersonKey, text: str, past: list[history.PastTurn]) -> ClaimedTurn:
    return ClaimedTurn(
        id=turn.id,
        conversation_id=turn.conversation_id,
        person_id=place.person_id,
        address=Address.of(place),
        epoch=place.epoch,
        attempt=turn.attempt,
        claimed_at=turn.claimed_at,
        text=text,
        history=past,
        key=key,
        tier=place.tier,
        language=place.language,
        needs_care=place.tier >= Tier.ACTIVE or place.age_band in _UNDER_AGE,
    )


def _put_off(session: Session, turn: Row[Any], error: Exception, *, owner: UUID, now: datetime) -> None:
    log.warning("turn_put_off", turn_id=str(turn.id), error=str(error))
    until = now + timedelta(seconds=_UNREADABLE_SECONDS)
    session.execute(_PUT_OFF, {"turn_id": turn.id, "by_owner": owner, "until": until})
