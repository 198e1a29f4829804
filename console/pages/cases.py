"""The duty desk: cases by danger and by how long nobody attends, and what staff do with them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from console import accounts, sessions
from console.gate import PageRoute
from console.page_request import PageRequest, Refused
from console.pages import live
from console.pages.actions import actor, office, perform
from dialogue.admin.cases import handling, open_cases
from dialogue.admin.cases.open_cases import DutyCase
from dialogue.errors import Erased
from dialogue.states import CaseOutcome, Role

_CLOSED_SHOWN = 50
_STEPS_SHOWN = 100


def desk(visit: PageRequest) -> Response:
    """What is open now; after idling only how many wait."""
    if visit.who is None:
        return live.locked(visit)
    with visit.services.database.read() as session:
        found = open_cases.open_cases(session)
    return visit.page(
        "duty.html",
        cases=found,
        is_closed=False,
        shows_people=visit.may(Role.COUNSELLOR),
        me=visit.staff.actor,
        refresh="15; url=/duty?quiet=1",
    )


def closed(visit: PageRequest) -> Response:
    """The newest that were closed."""
    with visit.services.database.read() as session:
        found = open_cases.closed_cases(session, limit=_CLOSED_SHOWN)
    return visit.page(
        "duty.html", cases=found, is_closed=True, shows_people=visit.may(Role.COUNSELLOR), me=visit.staff.actor
    )


def one(visit: PageRequest) -> Response:
    """One case; the note of a closed one is decrypted for this response only."""
    case_id = visit.path_id()
    with visit.services.database.read() as session:
        case = open_cases.one(session, case_id)
        if case is None:
            raise Refused(404, "error_not_found")
        note = _note(session, visit, case)
        colleagues = accounts.colleagues(session)
        entries = open_cases.history(session, case, limit=_STEPS_SHOWN) if visit.may(Role.COUNSELLOR) else []
    return visit.page("case.html", case=case, note=note, entries=entries, **choices(visit, colleagues))


def choices(visit: PageRequest, colleagues: list[str]) -> dict[str, Any]:
    """What the forms of a case need, on whatever page they stand."""
    return {
        "me": visit.staff.actor,
        "outcomes": list(CaseOutcome),
        "everyone": colleagues,
        "colleagues": [name for name in colleagues if name != visit.staff.name],
        "case_minutes": visit.services.settings.case_minutes,
        "max_note_length": handling.MAX_NOTE_LENGTH,
        "shows_people": visit.may(Role.COUNSELLOR),
    }


def look(visit: PageRequest) -> Response:
    """By POST, because it is kept who has looked."""
    case_id = visit.path_id()
    perform(visit, lambda session: handling.see(session, case_id, by=actor(visit), now=visit.now))
    return _go_to(visit, case_id, notice=None)


def take(visit: PageRequest) -> Response:
    """`from`: the holder that the page showed."""
    instead_of = visit.form.get("from") or None
    return _act(
        visit,
        "case-take",
        lambda session, case_id: handling.take(session, case_id, by=actor(visit), instead_of=instead_of, now=visit.now),
    )


def hand(visit: PageRequest) -> Response:
    to, note = visit.form.get("to", ""), visit.form.get("note", "")

    def hand_it(session: Session, case_id: UUID) -> None:
        if to not in accounts.colleagues(session):
            raise Refused(422, "error_form")
        handling.hand_to(
            session, office(visit), case_id, to=sessions.actor(to), note=note, by=actor(visit), now=visit.now
        )

    return _act(visit, "case-hand", hand_it)


def give_back(visit: PageRequest) -> Response:
    return _act(
        visit,
        "case-give-back",
        lambda session, case_id: handling.give_back(
            session, office(visit), case_id, by=actor(visit), reason=None, now=visit.now
        ),
    )


def close(visit: PageRequest) -> Response:
    outcome, note = visit.form.get("outcome", ""), visit.form.get("note", "")
    if outcome not in list(CaseOutcome):
        raise Refused(422, "error_form")
    return _act(
        visit,
        "case-close",
        lambda session, case_id: handling.close(
            session, office(visit), case_id, outcome=CaseOutcome(outcome), note=note, by=actor(visit), now=visit.now
        ),
    )


def _act(visit: PageRequest, notice: str, use_case: Callable[[Session, UUID], None]) -> Response:
    case_id = visit.path_id()
    perform(visit, lambda session: use_case(session, case_id))
    return _go_to(visit, case_id, notice=notice)


def _go_to(visit: PageRequest, case_id: UUID, *, notice: str | None) -> Response:
    """To the conversation, if it is about one and not over."""
    with visit.services.database.read() as session:
        case = open_cases.one(session, case_id)
    if case is None or case.conversation_id is None or notice == "case-close":
        return visit.go(f"/cases/{case_id}", notice=notice)
    return visit.go(f"/conversations/{case.conversation_id}", notice=notice)


def _note(session: Session, visit: PageRequest, case: DutyCase) -> str | None:
    if case.closed_at is None or not visit.may(Role.COUNSELLOR):
        return None
    try:
        return handling.note_of(session, office(visit), case.id)
    except Erased:
        return None


PAGES = (
    PageRoute(path="/duty", method="GET", role=Role.VIEWER, handler=desk, serves_idle=True),
    PageRoute(path="/duty/closed", method="GET", role=Role.VIEWER, handler=closed),
    PageRoute(path="/cases/{id}", method="GET", role=Role.VIEWER, handler=one),
    PageRoute(path="/cases/{id}/look", method="POST", role=Role.COUNSELLOR, handler=look),
    PageRoute(path="/cases/{id}/take", method="POST", role=Role.COUNSELLOR, handler=take),
    PageRoute(path="/cases/{id}/hand", method="POST", role=Role.COUNSELLOR, handler=hand),
    PageRoute(path="/cases/{id}/give-back", method="POST", role=Role.COUNSELLOR, handler=give_back),
    PageRoute(path="/cases/{id}/close", method="POST", role=Role.COUNSELLOR, handler=close),
)
