"""Looks up conversations and people by the prefix of an id, or by `channel:user id`."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from dialogue.errors import Ambiguous, NoSuchConversation, NoSuchPerson
from dialogue.tables import CONVERSATIONS, PEOPLE

MIN_PREFIX = 4
SHORT = 8
"""Hexadecimal digits of a short id: ids made at least 65 seconds apart differ in them."""

_DIGITS = 32
_MAX_CANDIDATES = 5


def conversation(session: Session, prefix: str) -> UUID:
    """The one conversation whose id begins with `prefix`; raises `NoSuchConversation`, `Ambiguous`."""
    found = _beginning_with(session, CONVERSATIONS, prefix)
    if not found:
        raise NoSuchConversation
    return _only(found)


def person(session: Session, reference: str) -> UUID:
    """Look a person up by `channel:user id`, a prefix of one of their conversations' ids, or a prefix of their own id.

    Raises `NoSuchPerson`, `Ambiguous`.
    """
    channel, colon, user_id = reference.partition(":")
    if colon:
        by_account = select(PEOPLE.c.id).where(PEOPLE.c.channel == channel, PEOPLE.c.user_id == user_id)
        found = session.scalars(by_account).all()
    else:
        held = _beginning_with(session, CONVERSATIONS, reference)
        by_conversation = select(PEOPLE.c.id).where(
            PEOPLE.c.id.in_(select(CONVERSATIONS.c.person_id).where(CONVERSATIONS.c.id.in_(held)))
        )
        found = session.scalars(by_conversation).all() or _beginning_with(session, PEOPLE, reference)
    if not found:
        raise NoSuchPerson
    return _only(found)


def short_ids(session: Session, conversation_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Prefixes that are unique among all conversations today; at least eight digits."""
    return {conversation_id: short_id(session, conversation_id) for conversation_id in conversation_ids}


def short_id(session: Session, conversation_id: UUID) -> str:
    """The shortest unique prefix of one conversation's id; at least eight digits."""
    before = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id < conversation_id)
    after = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id > conversation_id)
    neighbours = (
        session.scalar(before.order_by(CONVERSATIONS.c.id.desc()).limit(1)),
        session.scalar(after.order_by(CONVERSATIONS.c.id).limit(1)),
    )
    shared = max((_shared_digits(conversation_id, other) for other in neighbours if other is not None), default=0)
    return conversation_id.hex[: max(SHORT, shared + 1)]


def _shared_digits(one: UUID, other: UUID) -> int:
    return next((count for count, (a, b) in enumerate(zip(one.hex, other.hex, strict=True)) if a != b), _DIGITS)


def _beginning_with(session: Session, table: Table, prefix: str) -> list[UUID]:
    digits = prefix.replace("-", "").lower()
    if not (MIN_PREFIX <= len(digits) <= _DIGITS) or not all(digit in "0123456789abcdef" for digit in digits):
        return []
    first, last = UUID(hex=digits.ljust(_DIGITS, "0")), UUID(hex=digits.ljust(_DIGITS, "f"))
    between = select(table.c.id).where(table.c.id.between(first, last)).order_by(table.c.id)
    return list(session.scalars(between.limit(_MAX_CANDIDATES)))


def _only(found: Iterable[UUID]) -> UUID:
    first, *others = found
    if others:
        shared = max(_shared_digits(one, other) for one, other in zip([first, *others], others, strict=False))
        raise Ambiguous([one.hex[: shared + 1] for one in (first, *others)])
    return first
