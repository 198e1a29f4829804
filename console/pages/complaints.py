"""Complaints: listed without their text; each text is opened by POST and audited."""

from sqlalchemy.orm import Session
from starlette.responses import Response

from console.gate import PageRoute
from console.page_request import PageRequest, Refused, as_id
from console.pages.actions import perform
from dialogue.rights import complaints
from dialogue.rights.complaints import ComplaintText, ListedComplaint
from dialogue.states import Role

_PAGE_LENGTH = 50


def every(visit: PageRequest) -> Response:
    """The open complaints, or the settled ones."""
    is_settled = visit.query("settled") == "1"
    with visit.services.database.read() as session:
        found = complaints.page(
            session, is_settled=is_settled, before=as_id(visit.query("before")), limit=_PAGE_LENGTH + 1
        )
    shown = found[:_PAGE_LENGTH]
    return visit.page(
        "complaints.html",
        complaints=shown,
        is_settled=is_settled,
        before=shown[-1].id if len(found) > _PAGE_LENGTH else None,
        is_first=not visit.query("before"),
    )


def read(visit: PageRequest) -> Response:
    """The text, decrypted for this response only."""
    complaint_id = visit.path_id()
    opened: list[tuple[ListedComplaint, ComplaintText]] = []

    def open_it(session: Session) -> None:
        words = complaints.read(session, visit.services.keys, complaint_id, by=visit.staff.actor, now=visit.now)
        complaint = complaints.one(session, complaint_id)
        if words is None or complaint is None:
            raise Refused(404, "error_not_found")
        opened.append((complaint, words))

    perform(visit, open_it)
    complaint, words = opened[0]
    return visit.page("complaint.html", complaint=complaint, text=words.text)


def settle(visit: PageRequest) -> Response:
    """Settle a complaint; its text is deleted after the retention period."""
    complaint_id = visit.path_id()

    def settle_it(session: Session) -> None:
        if complaints.one(session, complaint_id) is None:
            raise Refused(404, "error_not_found")
        if not complaints.settle(session, complaint_id, by=visit.staff.actor, now=visit.now):
            raise Refused(409, "error_settled")

    perform(visit, settle_it)
    return visit.go("/complaints", notice="settle")


PAGES = (
    PageRoute(path="/complaints", method="GET", role=Role.COUNSELLOR, handler=every),
    PageRoute(path="/complaints/{id}/words", method="POST", role=Role.COUNSELLOR, handler=read),
    PageRoute(path="/complaints/{id}/settle", method="POST", role=Role.COUNSELLOR, handler=settle),
)
