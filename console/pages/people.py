"""One person: what is known beside their words, notes of staff, the emergency contact, a search in their words."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from console import risk_chart
from console.gate import PageRoute
from console.page_request import PageRequest, Refused
from console.pages.actions import actor, office, perform
from dialogue.admin import notes, person_facts, person_search
from dialogue.admin.cases import open_cases
from dialogue.admin.notes import Notes
from dialogue.admin.person_search import FoundWords
from dialogue.errors import Erased, NoSuchPerson
from dialogue.rights import emergency_contacts
from dialogue.states import NoteKind, Role

_MAX_SEARCH = 100


def one(visit: PageRequest) -> Response:
    """Without any of the person's words; notes are opened by POST."""
    return visit.page("person.html", **_known(visit, visit.path_id()), notes=None, found=None, wanted="", contact=None)


def open_notes(visit: PageRequest) -> Response:
    """The notes, decrypted for this response only."""
    return _with_notes(visit)


def write_note(visit: PageRequest) -> Response:
    person_id, kind, text = visit.path_id(), visit.form.get("kind", ""), visit.form.get("text", "")
    if kind not in list(NoteKind):
        raise Refused(422, "error_form")
    keep = notes.keep_private if kind == NoteKind.PRIVATE else notes.hand_over
    perform(visit, lambda session: keep(session, office(visit), person_id, text, by=actor(visit), now=visit.now))
    return _with_notes(visit)


def look_up_contact(visit: PageRequest) -> Response:
    """A reason must be given; both are kept in the audit."""
    person_id, reason = visit.path_id(), visit.form.get("reason", "").strip()
    known = _known(visit, person_id)
    if not reason:
        raise Refused(422, "error_reason")
    found: list[str | None] = []

    def look(session: Session) -> None:
        keys = visit.services.keys
        found.append(
            emergency_contacts.look_up(session, keys, person_id, by=visit.staff.actor, reason=reason, now=visit.now)
        )

    perform(visit, look)
    return visit.page(
        "person.html", **known, notes=None, found=None, wanted="", contact=found[0] or visit.words.say("no_contact")
    )


def tell_contact(visit: PageRequest) -> Response:
    """A member of staff decided to call the contact, and did: the reason is kept, no word of the call."""
    person_id, reason = visit.path_id(), visit.form.get("reason", "").strip()
    if not _known(visit, person_id)["facts"].has_contact:
        raise Refused(422, "no_contact")
    if not reason:
        raise Refused(422, "error_reason")
    perform(
        visit,
        lambda session: emergency_contacts.note_told(
            session, person_id, by=visit.staff.actor, reason=reason, now=visit.now
        ),
    )
    return visit.go(f"/people/{person_id}", notice="contact_told")


def search(visit: PageRequest) -> Response:
    person_id, wanted = visit.path_id(), visit.form.get("words", "").strip()[:_MAX_SEARCH]
    known = _known(visit, person_id)
    found: list[FoundWords] = []

    def look(session: Session) -> None:
        found.extend(person_search.search(session, office(visit), person_id, wanted, by=actor(visit), now=visit.now))

    perform(visit, look)
    return visit.page("person.html", **known, notes=None, found=found, wanted=wanted, contact=None)


def _with_notes(visit: PageRequest) -> Response:
    person_id = visit.path_id()
    known = _known(visit, person_id)
    try:
        with visit.services.database.begin() as session:
            opened = notes.read(session, office(visit), person_id, by=actor(visit), now=visit.now)
    except Erased:
        opened = Notes()
    return visit.page("person.html", **known, notes=opened, found=None, wanted="", contact=None)


def _known(visit: PageRequest, person_id: UUID) -> dict[str, Any]:
    try:
        with visit.services.database.read() as session:
            facts = person_facts.facts(session, person_id)
            cases = open_cases.of_person(session, person_id)
    except NoSuchPerson:
        raise Refused(404, "error_not_found") from None
    return {
        "facts": facts,
        "cases": cases,
        "chart": risk_chart.draw(facts.risk, visit.zone, now=visit.now),
        "max_note_length": notes.MAX_LENGTH,
    }


PAGES = (
    PageRoute(path="/people/{id}", method="GET", role=Role.COUNSELLOR, handler=one),
    PageRoute(path="/people/{id}/notes", method="POST", role=Role.COUNSELLOR, handler=open_notes),
    PageRoute(path="/people/{id}/note", method="POST", role=Role.COUNSELLOR, handler=write_note),
    PageRoute(path="/people/{id}/contact", method="POST", role=Role.COUNSELLOR, handler=look_up_contact),
    PageRoute(path="/people/{id}/contact-told", method="POST", role=Role.COUNSELLOR, handler=tell_contact),
    PageRoute(path="/people/{id}/search", method="POST", role=Role.COUNSELLOR, handler=search),
)
