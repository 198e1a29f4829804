"""Ratings of replies: one per turn and person, and it can be changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from dialogue.messages import Address
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.storage.ids import new_id
from dialogue.tables import CONVERSATIONS, DELIVERIES, FEEDBACK, PEOPLE, TURNS

# a button travels: the person who presses it must be the one the reply was for
_PERSON_OF_TURN = (
    select(PEOPLE.c.id)
    .join(CONVERSATIONS, CONVERSATIONS.c.person_id == PEOPLE.c.id)
    .join(TURNS, TURNS.c.conversation_id == CONVERSATIONS.c.id)
    .where(
        TURNS.c.id == bindparam("of_turn"),
        PEOPLE.c.channel == bindparam("channel"),
        PEOPLE.c.user_id == bindparam("user_id"),
    )
    .with_for_update(key_share=True, of=PEOPLE)
)
_CHANGE = (
    update(FEEDBACK)
    .where(FEEDBACK.c.turn_id == bindparam("of_turn"), FEEDBACK.c.person_id == bindparam("by_person"))
    .values(value=bindparam("new_value"), given_at=bindparam("now"))
    .returning(FEEDBACK.c.id)
)
_GIVE = insert(FEEDBACK)
_LATEST_REPLY = (
    select(DELIVERIES.c.turn_id)
    .join(CONVERSATIONS, CONVERSATIONS.c.id == DELIVERIES.c.conversation_id)
    .where(
        CONVERSATIONS.c.channel == bindparam("channel"),
        CONVERSATIONS.c.account.in_((bindparam("account"), "")),
        CONVERSATIONS.c.chat_id == bindparam("chat_id"),
        CONVERSATIONS.c.closed_at.is_(None),
        DELIVERIES.c.kind == DeliveryKind.REPLY,
        DELIVERIES.c.state == DeliveryState.SENT,
    )
    .order_by(DELIVERIES.c.id.desc())
    .limit(1)
)


def rate(session: Session, *, channel: str, user_id: str, turn_id: UUID, value: int, now: datetime) -> bool:
    """Store 👍 (1) or 👎 (-1), replacing an earlier one. False if the turn is not that person's."""
    whose = {"of_turn": turn_id, "channel": channel, "user_id": user_id}
    person_id = session.scalar(_PERSON_OF_TURN, whose)
    if person_id is None:
        return False
    change = {"of_turn": turn_id, "by_person": person_id, "new_value": value, "now": now}
    if session.execute(_CHANGE, change).first() is None:
        session.execute(
            _GIVE, {"id": new_id(), "turn_id": turn_id, "person_id": person_id, "value": value, "given_at": now}
        )
    return True


def latest_reply(session: Session, address: Address) -> UUID | None:
    """The turn whose reply the person saw last: the one that a rating in words refers to."""
    return session.scalar(_LATEST_REPLY, address.columns())
