"""The list of conversations with its filters, and one conversation without its texts."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qsl, urlencode

from starlette.responses import RedirectResponse, Response

from console import accounts, search, views
from console.gate import PageRoute
from console.page_request import PageRequest, Refused, as_id
from console.pages import cases
from dialogue.admin import listing_orders, platform_takeover, record
from dialogue.admin.cases import handling, open_cases
from dialogue.admin.listing import ConversationStatus, Wanted
from dialogue.admin.listing_orders import SortBy
from dialogue.errors import Ambiguous, NoSuchConversation
from dialogue.states import Role

_PAGE_LENGTH = 50
_FILTERS = ("q", "channel", "standing", "tier", "case", "assigned", "minor", "from", "until", "person", "sort")


def every(visit: PageRequest) -> Response:
    given = {name: visit.query(name) for name in _FILTERS}
    hint = None
    if given["q"]:
        found = _search(visit, given["q"])
        if isinstance(found, Response):
            return found
        hint = found
    order = SortBy(given["sort"]) if given["sort"] in list(SortBy) else SortBy.ATTENTION
    with visit.services.database.read() as session:
        wanted, after = _wanted(visit, given), visit.query("after")
        page = listing_orders.page(session, wanted, order, after=after, limit=_PAGE_LENGTH, now=visit.now)
        saved = views.of(session, visit.staff.staff_id)
    kept = {name: value for name, value in given.items() if value}
    return visit.page(
        "conversations.html",
        conversations=page.conversations,
        given=given,
        query=urlencode(kept),
        saved=saved,
        hint=hint,
        channels=list(visit.channels),
        standings=list(ConversationStatus),
        sorts=list(SortBy),
        sort=order,
        older=f"/conversations?{urlencode(kept | {'after': page.next})}" if page.next else None,
        is_first=not after,
        is_filtered=any(value for name, value in given.items() if name != "sort"),
        shows_people=visit.may(Role.COUNSELLOR),
        max_name_length=views.MAX_NAME_LENGTH,
    )


def keep_view(visit: PageRequest) -> Response:
    """The filter that is set, under a name."""
    query = urlencode([(name, value) for name, value in parse_qsl(visit.form.get("query", "")) if name in _FILTERS])
    with visit.services.database.begin() as session:
        if not views.keep(session, visit.staff.staff_id, visit.form.get("name", ""), query):
            raise Refused(422, "error_view")
    return RedirectResponse(f"/conversations?{query}", status_code=303)


def drop_view(visit: PageRequest) -> Response:
    with visit.services.database.begin() as session:
        views.drop(session, visit.staff.staff_id, visit.path_id())
    return visit.go("/conversations")


def one(visit: PageRequest) -> Response:
    with visit.services.database.read() as session:
        try:
            shown = record.show(session, visit.path_id())
        except NoSuchConversation:
            raise Refused(404, "error_not_found") from None
        case_id = handling.of_conversation(session, shown.conversation.id)
        case = open_cases.one(session, case_id) if case_id is not None else None
        colleagues = accounts.colleagues(session)
        has_phone = platform_takeover.is_possible(session, shown.conversation.id)
    conversation = shown.conversation
    return visit.page(
        "conversation.html",
        record=shown,
        conversation=conversation,
        is_open=conversation.closed_at is None,
        is_mine=conversation.taken_over_by == visit.staff.actor,
        has_phone=has_phone,
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
        assigned_to=visit.staff.actor if given["assigned"] == "me" else None,
        is_unassigned=given["assigned"] == "nobody",
        is_minor=given["minor"] == "1",
        has_open_case=given["case"] == "open",
        is_unattended=given["case"] == "unattended",
    )


def _midnight(visit: PageRequest, text: str, *, days_later: int = 0) -> datetime | None:
    """When that day, or one so many days later, began where the reader is; None at the ends of time too."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days_later)
        return datetime.combine(day, time(), visit.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


PAGES = (
    PageRoute(path="/conversations", method="GET", role=Role.VIEWER, handler=every),
    PageRoute(path="/views", method="POST", role=Role.VIEWER, handler=keep_view),
    PageRoute(path="/views/{id}/delete", method="POST", role=Role.VIEWER, handler=drop_view),
    PageRoute(path="/conversations/{id}", method="GET", role=Role.VIEWER, handler=one),
)
