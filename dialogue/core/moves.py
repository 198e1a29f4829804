"""A platform gave a chat another id: its conversations and what they are owed go along."""

from typing import Any
from uuid import UUID

from sqlalchemy import Result, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.states import UNSENT_DELIVERY_STATES
from dialogue.storage import after_commit
from dialogue.tables import CONVERSATIONS, DELIVERIES

SEPARATOR = "/"
"""Between the chat and what stands behind it in an address, such as the person or the topic."""

_HERE = or_(
    CONVERSATIONS.c.chat_id == bindparam("before"),
    CONVERSATIONS.c.chat_id.like(bindparam("inside"), escape="\\"),
)
_CONVERSATIONS = (
    select(CONVERSATIONS.c.id, CONVERSATIONS.c.chat_id, CONVERSATIONS.c.epoch, CONVERSATIONS.c.closed_at)
    .where(CONVERSATIONS.c.channel == bindparam("of_channel"), _HERE)
    .order_by(CONVERSATIONS.c.epoch)
    .with_for_update()
)
_THERE = select(func.max(CONVERSATIONS.c.epoch), func.count().filter(CONVERSATIONS.c.closed_at.is_(None))).where(
    CONVERSATIONS.c.channel == bindparam("of_channel"), CONVERSATIONS.c.chat_id == bindparam("after")
)
_MOVE = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(chat_id=bindparam("new_chat_id"), epoch=bindparam("new_epoch"))
)
_OWED = select(DELIVERIES.c.id, DELIVERIES.c.chat_id).where(
    DELIVERIES.c.channel == bindparam("of_channel"),
    or_(DELIVERIES.c.chat_id == bindparam("before"), DELIVERIES.c.chat_id.like(bindparam("inside"), escape="\\")),
    DELIVERIES.c.state.in_(UNSENT_DELIVERY_STATES),
)
_SEND_THERE = (
    update(DELIVERIES).where(DELIVERIES.c.id == bindparam("delivery_id")).values(chat_id=bindparam("new_chat_id"))
)
_FORGET_PLACEHOLDERS = delete(DELIVERIES).where(
    DELIVERIES.c.channel == bindparam("of_channel"),
    or_(DELIVERIES.c.chat_id == bindparam("before"), DELIVERIES.c.chat_id.like(bindparam("inside"), escape="\\")),
    DELIVERIES.c.part == PLACEHOLDER_PART,
)


def move_chat(session: Session, channel: str, *, before: str, after: str) -> list[UUID]:
    """Everything at `before`, or at an address inside it, is now at `after`; returns the conversations that moved.

    Placeholders stay behind: their ids mean nothing in the new chat. A conversation that was opened in the new chat in
    the meantime stays the open one there. Moving twice does nothing.
    """
    inside = before.replace("_", "\\_").replace("%", "\\%") + f"{SEPARATOR}%"
    here = {"of_channel": channel, "before": before, "inside": inside}
    session.execute(_FORGET_PLACEHOLDERS, here)
    moved = _move_conversations(
        session, channel, before=before, after=after, rows=session.execute(_CONVERSATIONS, here)
    )
    for delivery in session.execute(_OWED, here).all():
        there = after + delivery.chat_id[len(before) :]
        session.execute(_SEND_THERE, {"delivery_id": delivery.id, "new_chat_id": there})
    after_commit.owe(session, channel)
    return moved


def _move_conversations(session: Session, channel: str, *, before: str, after: str, rows: Result[Any]) -> list[UUID]:
    moved = []
    for row in rows.all():
        there = after + row.chat_id[len(before) :]
        last_epoch, open_count = session.execute(_THERE, {"of_channel": channel, "after": there}).one()
        if open_count and row.closed_at is None:
            continue
        session.execute(_MOVE, {"conversation_id": row.id, "new_chat_id": there, "new_epoch": (last_epoch or 0) + 1})
        moved.append(row.id)
    return moved
