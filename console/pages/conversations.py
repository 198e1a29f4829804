"""The list of conversations with its filters, and one conversation without its texts."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from console import accounts, search
from console.gate import PageRoute
from console.pages import cases
from console.visit import PageRequest, Refused, as_id
from dialogue.admin import listing, record
from dialogue.admin.cases import handling, open_cases
from dialogue.admin.listing import ConversationStatus, Cursor, Wanted
from dialogue.errors import Ambiguous, NoSuchConversation
from dialogue.states import Role

_PAGE_LENGTH = 50
_FILTERS = ("q", "channel", "standing", "tier", "from", "until", "person")


def every(visit: PageRequest) -> Response:
    given = {name: visit.query(name) for name in _FILTERS}
    hint = None
    if given["q"]:
        found = _search(visit, given["q"])
        if isinstance(found, Response):
            return found
        hint = found
    with visit.services.database.read() as session:
        page = listing.page(session, _wanted(visit, given), after=_cursor(visit.query("after")), limit=_PAGE_LENGTH)
    return visit.page(
        "conversations.html",
        conversations=page.conversations,
        given=given,
        hint=hint,
        channels=list(visit.channels),
        standings=list(ConversationStatus),
        older=_older(given, page.next),
        is_first=not visit.query("after"),
        is_filtered=any(given.values()),
        shows_people=visit.may(Role.COUNSELLOR),
    )


def one(visit: PageRequest) -> Response:
    with visit.services.database.read() as session:
        try:
            shown = record.show(session, visit.path_id())
        except NoSuchConversation:
            raise Refused(404, "error_not_found") from None
        case_id = handling.of_conversation(session, shown.conversation.id)
        case = open_cases.one(session, case_id) if case_id is not None else None
        colleagues = accounts.colleagues(session)
    conversation = shown.conversation
    return visit.page(
        "conversation.html",
        record=shown,
        conversation=conversation,
        is_open=conversation.closed_at is None,
        is_mine=conversation.taken_over_by == visit.staff.actor,
        case=case,
        **cases.choices(visit, colleagues),
    )


def _search(visit: PageRequest, text: str) -> Response | str:
    """Redirect to the result, or give an error key. Only roles that read transcripts find people by user id."""
    with visit.services.database.read() as session:
        try:
            conversation_id = search.conversation_of(session, text)
        except Ambiguous:
            return "search_ambiguous"
        if conversation_id is not None:
            return visit.go(f"/conversations/{conversation_id}")
        person_id = search.person_of(session, text, visit.channels) if visit.may(Role.COUNSELLOR) else None
    return "search_nothing" if person_id is None else visit.go(f"/conversations?person={person_id}")


def _wanted(visit: PageRequest, given: Mapping[str, str]) -> Wanted:
    """An invalid value is ignored."""
    return Wanted(
        channel=given["channel"] or None,
        standing=ConversationStatus(given["standing"]) if given["standing"] in list(ConversationStatus) else None,
        min_tier=int(given["tier"]) if given["tier"] in {"1", "2", "3"} else 0,
        opened_from=_midnight(visit, given["from"]),
        opened_before=_midnight(visit, given["until"], days_later=1),
        person_id=as_id(given["person"]),
    )


def _midnight(visit: PageRequest, text: str, *, days_later: int = 0) -> datetime | None:
    """When that day, or one so many days later, began where the reader is; None at the ends of time too."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days_later)
        return datetime.combine(day, time(), visit.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _older(given: Mapping[str, str], cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    kept = {name: value for name, value in given.items() if value}
    return f"/conversations?{urlencode(kept | {'after': f'{cursor.opened_at.isoformat()}_{cursor.id}'})}"


def _cursor(text: str) -> Cursor | None:
    opened_at, _, conversation_id = text.partition("_")
    try:
        moment = datetime.fromisoformat(opened_at)
        return Cursor(moment.astimezone(UTC), UUID(conversation_id)) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


PAGES = (
    PageRoute(path="/conversations", method="GET", role=Role.VIEWER, handler=every),
    PageRoute(path="/conversations/{id}", method="GET", role=Role.VIEWER, handler=one),
)
