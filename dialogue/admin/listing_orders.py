"""Other orders of the list of conversations: by danger, by how long somebody waits, by the last word.

Each is a keyset: `after` is the mark of the last conversation of the page before.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from dialogue.admin import listing
from dialogue.admin.cases import open_cases
from dialogue.admin.listing import ConversationStatus, Listed, Wanted
from dialogue.states import OPEN_TURN_STATES
from dialogue.storage.ids import first_id_at
from dialogue.tables import CASES, CONVERSATIONS, MESSAGES, TURNS

LATELY = timedelta(days=14)
"""The order by the last word goes back so far."""


_MAX_CASES = 10_000
_REST_PARTS = 3


class SortBy(StrEnum):
    """What comes first."""

    ATTENTION = "attention"  # those with an open case as the duty desk has them, then the newest
    DANGER = "danger"  # open ones by tier, then the others, newest first
    WAITING = "waiting"  # who waits longest for an answer
    LAST = "last"  # the newest word of a person
    NEWEST = "newest"


class OrderedPage(NamedTuple):
    """One page, and the mark of the next, if there is one."""

    conversations: list[Listed]
    next: str | None


def page(
    session: Session, wanted: Wanted, order: SortBy, *, after: str = "", limit: int = 50, now: datetime
) -> OrderedPage:
    """A mark that is none of ours begins again."""
    match order:
        case SortBy.ATTENTION:
            return _by_attention(session, wanted, after.split("_"), limit)
        case SortBy.DANGER:
            return _by_danger(session, wanted, _parts(after, 4), limit)
        case SortBy.WAITING:
            return _by_waiting(session, wanted, _parts(after, 2), limit)
        case SortBy.LAST:
            return _by_last_word(session, wanted, _parts(after, 1), limit, now)
        case SortBy.NEWEST:
            return _newest(session, wanted, _parts(after, 2), limit)


def _by_attention(session: Session, wanted: Wanted, after: list[str], limit: int) -> OrderedPage:
    """Open cases are few, so they are counted; the others are a keyset."""
    has_case = CASES.c.conversation_id == CONVERSATIONS.c.id
    found: list[Any] = []
    skipped = int(after[1]) if after[0] == "case" and after[1:] and after[1].isdecimal() else 0
    if after[0] != "rest":
        query = listing.fitting(wanted).join(CASES, has_case).where(CASES.c.closed_at.is_(None))
        query = query.order_by(*open_cases.MOST_URGENT_FIRST).offset(min(skipped, _MAX_CASES)).limit(limit + 1)
        found = list(session.execute(query).mappings())
        if len(found) > limit:
            return OrderedPage(listing.described(session, found[:limit]), f"case_{skipped + limit}")
    with_case = select(CASES.c.conversation_id).where(CASES.c.closed_at.is_(None), CASES.c.conversation_id.is_not(None))
    query = listing.fitting(wanted)
    if held := session.scalars(with_case.limit(_MAX_CASES)).all():  # few: a list leaves the order to the index
        query = query.where(CONVERSATIONS.c.id.not_in(held))
    if after[0] == "rest" and len(after) == _REST_PARTS and (cursor := _cursor(after[1], after[2])):
        query = query.where(tuple_(CONVERSATIONS.c.opened_at, CONVERSATIONS.c.id) < tuple_(*cursor))
    query = query.order_by(CONVERSATIONS.c.opened_at.desc(), CONVERSATIONS.c.id.desc())
    rest = list(session.execute(query.limit(limit + 1 - len(found))).mappings())
    shown = (found + rest)[:limit]
    has_more = len(found) + len(rest) > limit
    mark = (
        f"rest_{shown[-1]['opened_at'].isoformat()}_{shown[-1]['id']}" if has_more and len(shown) > len(found) else None
    )
    if has_more and mark is None:  # the first page holds cases only
        mark = f"case_{skipped + limit}"
    return OrderedPage(listing.described(session, shown), mark)


def _by_danger(session: Session, wanted: Wanted, after: list[str], limit: int) -> OrderedPage:
    is_open = CONVERSATIONS.c.closed_at.is_(None)
    place = (CONVERSATIONS.c.tier, CONVERSATIONS.c.opened_at, CONVERSATIONS.c.id)
    found: list[tuple[str, Any]] = []
    if wanted.standing is not ConversationStatus.CLOSED and (not after or after[0] == "open"):
        query = listing.fitting(wanted).where(is_open).order_by(*(column.desc() for column in place))
        if after and (cursor := _cursor(after[2], after[3])):
            query = query.where(tuple_(*place) < tuple_(_number(after[1]), *cursor))
        found += [("open", row) for row in session.execute(query.limit(limit + 1)).mappings()]
    if wanted.standing in (None, ConversationStatus.CLOSED) and len(found) <= limit:
        query = listing.fitting(wanted).where(~is_open).order_by(*(column.desc() for column in place[1:]))
        if after and after[0] == "closed" and (cursor := _cursor(after[2], after[3])):
            query = query.where(tuple_(*place[1:]) < tuple_(*cursor))
        found += [("closed", row) for row in session.execute(query.limit(limit + 1 - len(found))).mappings()]
    last = found[limit - 1] if len(found) > limit else None
    mark = f"{last[0]}_{last[1]['tier']}_{last[1]['opened_at'].isoformat()}_{last[1]['id']}" if last else None
    return OrderedPage(listing.described(session, [row for _, row in found[:limit]]), mark)


def _by_waiting(session: Session, wanted: Wanted, after: list[str], limit: int) -> OrderedPage:
    since = (
        select(TURNS.c.conversation_id, func.min(TURNS.c.created_at).label("since"))
        .where(TURNS.c.state.in_(OPEN_TURN_STATES))
        .group_by(TURNS.c.conversation_id)
        .subquery()
    )
    query = (
        listing.fitting(wanted).add_columns(since.c.since).join(since, since.c.conversation_id == CONVERSATIONS.c.id)
    )
    if after and (cursor := _cursor(*after)):
        query = query.where(tuple_(since.c.since, CONVERSATIONS.c.id) > tuple_(*cursor))
    query = query.where(CONVERSATIONS.c.closed_at.is_(None)).order_by(since.c.since, CONVERSATIONS.c.id)
    rows = session.execute(query.limit(limit + 1)).mappings().all()
    mark = f"{rows[limit - 1]['since'].isoformat()}_{rows[limit - 1]['id']}" if len(rows) > limit else None
    plain = [{name: value for name, value in row.items() if name != "since"} for row in rows[:limit]]
    return OrderedPage(listing.described(session, plain), mark)


def _by_last_word(session: Session, wanted: Wanted, after: list[str], limit: int, now: datetime) -> OrderedPage:
    """Walks back through the messages, and takes each that is the newest of its conversation."""
    newer = MESSAGES.alias()
    is_newest = (
        ~select(newer.c.id)
        .where(
            newer.c.person_id == MESSAGES.c.person_id,
            newer.c.conversation_id == MESSAGES.c.conversation_id,
            newer.c.id > MESSAGES.c.id,
        )
        .exists()
    )
    before = _id(after[0]) if after else None
    query = (
        listing.fitting(wanted)
        .add_columns(MESSAGES.c.id.label("message_id"))
        .join(MESSAGES, MESSAGES.c.conversation_id == CONVERSATIONS.c.id)
        .where(is_newest, MESSAGES.c.id > first_id_at(now - LATELY))
        .order_by(MESSAGES.c.id.desc())
    )
    if before is not None:
        query = query.where(MESSAGES.c.id < before)
    rows = session.execute(query.limit(limit + 1)).mappings().all()
    mark = str(rows[limit - 1]["message_id"]) if len(rows) > limit else None
    plain = [{name: value for name, value in row.items() if name != "message_id"} for row in rows[:limit]]
    return OrderedPage(listing.described(session, plain), mark)


def _newest(session: Session, wanted: Wanted, after: list[str], limit: int) -> OrderedPage:
    cursor = _cursor(*after) if after else None
    found = listing.page(session, wanted, after=listing.Cursor(*cursor) if cursor else None, limit=limit)
    mark = f"{found.next.opened_at.isoformat()}_{found.next.id}" if found.next else None
    return OrderedPage(found.conversations, mark)


def _parts(mark: str, count: int) -> list[str]:
    parts = mark.split("_")
    return parts if len(parts) == count and all(parts) else []


def _cursor(moment: str, row_id: str) -> tuple[datetime, UUID] | None:
    found = _id(row_id)
    try:
        at = datetime.fromisoformat(moment)
        return (at.astimezone(UTC), found) if at.tzinfo is not None and found is not None else None
    except (ValueError, OverflowError):
        return None


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _number(text: str) -> int:
    return int(text) if text in {"0", "1", "2", "3"} else 0
