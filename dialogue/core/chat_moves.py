"""A platform gave a chat another id: its conversations and what they are owed go along, and so do later words.

The move is kept: words of the old id may be heard of after it, by another process, or after a restart.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Result, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import conversations
from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.messages import Address
from dialogue.states import OPEN_TURN_STATES, UNSENT_DELIVERY_STATES, ClosedBy
from dialogue.storage import after_commit
from dialogue.storage.ids import new_id
from dialogue.tables import CHAT_MOVES, CONVERSATIONS, DELIVERIES, TURNS

SEPARATOR = "/"
"""Between the chat and what stands behind it in an address, such as the person or the topic.

An address without one is of a chat with one person, and no platform moves these.
"""

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
_OF_CHAT = (CHAT_MOVES.c.channel == bindparam("of_channel"), CHAT_MOVES.c.chat_id == bindparam("of_chat"))
_NEW_ID = select(CHAT_MOVES.c.new_chat_id).where(*_OF_CHAT)
_FORGET = delete(CHAT_MOVES).where(*_OF_CHAT)
_MOVED_ON = (
    update(CHAT_MOVES)
    .where(CHAT_MOVES.c.channel == bindparam("of_channel"), CHAT_MOVES.c.new_chat_id == bindparam("of_chat"))
    .values(new_chat_id=bindparam("there"))
)
_KEEP = insert(CHAT_MOVES)
_MOVES = select(CHAT_MOVES.c.id, CHAT_MOVES.c.channel, CHAT_MOVES.c.new_chat_id).where(
    CHAT_MOVES.c.moved_at <= bindparam("moved_until")
)
_IS_ANYBODY_THERE = select(exists().where(CONVERSATIONS.c.channel == bindparam("of_channel"), _HERE))
_FORGET_ONE = delete(CHAT_MOVES).where(CHAT_MOVES.c.id == bindparam("of_move"))
# held until the transaction ends: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
_SHARE = select(func.pg_advisory_xact_lock_shared(bindparam("of_move", type_=BigInteger)))
_LOCK = select(func.pg_advisory_xact_lock(bindparam("of_move", type_=BigInteger)))
_IS_UNFINISHED = select(
    or_(
        exists().where(TURNS.c.conversation_id == bindparam("of_conversation"), TURNS.c.state.in_(OPEN_TURN_STATES)),
        exists().where(
            DELIVERIES.c.conversation_id == bindparam("of_conversation"), DELIVERIES.c.state.in_(UNSENT_DELIVERY_STATES)
        ),
        exists().where(CONVERSATIONS.c.id == bindparam("of_conversation"), CONVERSATIONS.c.taken_over_by.is_not(None)),
    )
)


def present(session: Session, address: Address) -> Address:
    """The same place, under the id that its chat has now; it keeps that id until the transaction ends.

    Ask before anything is locked: a move waits for whoever asked.
    """
    chat, separator, inside = address.chat_id.partition(SEPARATOR)
    if not separator:
        return address
    _lock(session, _SHARE, address.channel, chat)
    there = _new_id(session, address.channel, chat)
    return address if there is None else replace(address, chat_id=there + separator + inside)


def move_chat(session: Session, channel: str, *, before: str, after: str, now: datetime) -> list[UUID]:
    """Everything at `before`, or at an address inside it, is now at `after`; returns the conversations that moved.

    Placeholders stay behind: their ids mean nothing in the new chat. A conversation that was opened in the new chat in
    the meantime stays the open one there; the one from before ends as soon as nothing in it is owed or held by a human.
    Moving twice does nothing.
    """
    if after == before:
        return []
    _lock(session, _LOCK, channel, before)
    after = _keep(session, channel, before=before, after=after, now=now)
    here = _in(channel, before)
    session.execute(_FORGET_PLACEHOLDERS, here)
    moved = _move_conversations(
        session, channel, before=before, after=after, rows=session.execute(_CONVERSATIONS, here), now=now
    )
    for delivery in session.execute(_OWED, here).all():
        there = after + delivery.chat_id[len(before) :]
        session.execute(_SEND_THERE, {"delivery_id": delivery.id, "new_chat_id": there})
    after_commit.owe(session, channel)
    return moved


def deserted(session: Session, *, until: datetime) -> list[UUID]:
    """Moves before then of groups in which nobody's conversation is left."""
    found = session.execute(_MOVES, {"moved_until": until}).all()
    return [move.id for move in found if not session.scalar(_IS_ANYBODY_THERE, _in(move.channel, move.new_chat_id))]


def forget(session: Session, move_ids: Sequence[UUID]) -> None:
    """These moves say nothing to anybody any more."""
    for move_id in move_ids:
        session.execute(_FORGET_ONE, {"of_move": move_id})


def _in(channel: str, chat: str) -> dict[str, str]:
    """The chat, and the pattern of addresses inside it."""
    return {
        "of_channel": channel,
        "before": chat,
        "inside": chat.replace("_", "\\_").replace("%", "\\%") + f"{SEPARATOR}%",
    }


def _keep(session: Session, channel: str, *, before: str, after: str, now: datetime) -> str:
    """Note the move; returns where the chat is now, which may have moved on since."""
    there = _new_id(session, channel, after)
    if there == before:  # it came back
        session.execute(_FORGET, {"of_channel": channel, "of_chat": after})
        there = None
    there = there or after
    if _new_id(session, channel, before) == there:
        return there
    session.execute(_FORGET, {"of_channel": channel, "of_chat": before})
    session.execute(_MOVED_ON, {"of_channel": channel, "of_chat": before, "there": there})
    session.execute(
        _KEEP, {"id": new_id(), "channel": channel, "chat_id": before, "new_chat_id": there, "moved_at": now}
    )
    return there


def _new_id(session: Session, channel: str, chat: str) -> str | None:
    return session.scalar(_NEW_ID, {"of_channel": channel, "of_chat": chat})


def _lock(session: Session, lock: Any, channel: str, chat: str) -> None:
    """SQLite has one writer at a time."""
    if session.get_bind().dialect.name == "postgresql":
        digest = blake2b(f"{channel}{SEPARATOR}{chat}".encode(), digest_size=8).digest()
        session.execute(lock, {"of_move": int.from_bytes(digest, "big", signed=True)})


def _move_conversations(
    session: Session, channel: str, *, before: str, after: str, rows: Result[Any], now: datetime
) -> list[UUID]:
    moved = []
    for row in rows.all():
        there = after + row.chat_id[len(before) :]
        last_epoch, open_count = session.execute(_THERE, {"of_channel": channel, "after": there}).one()
        if open_count and row.closed_at is None:
            if session.scalar(_IS_UNFINISHED, {"of_conversation": row.id}):
                continue
            conversations.reset(session, row.id, by=ClosedBy.CHANNEL, now=now)
        session.execute(_MOVE, {"conversation_id": row.id, "new_chat_id": there, "new_epoch": (last_epoch or 0) + 1})
        moved.append(row.id)
    return moved
