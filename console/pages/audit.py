"""The audit log, newest first."""

from sqlalchemy.orm import Session
from starlette.responses import Response

from console import audit_search
from console.audit_search import AuditQuestion
from console.gate import PageRoute
from console.page_request import PageRequest, as_id
from dialogue.admin import audit
from dialogue.admin.audit import Entry
from dialogue.states import Role

_PAGE_LENGTH = 50


def entries(visit: PageRequest) -> Response:
    given = {name: visit.query(name) for name in ("actor", "action", "conversation")}
    with visit.services.database.read() as session:
        asked = audit_search.read(
            session,
            visit.services.words,
            visit.channels,
            actor=given["actor"],
            action=given["action"],
            whom=given["conversation"],
        )
        found = [] if asked.troubles else _found(session, asked, visit.query("before"))
    shown = found[:_PAGE_LENGTH]
    return visit.page(
        "audit.html",
        entries=shown,
        given=given,
        troubles=asked.troubles,
        labels=audit_search.labels(visit.words),
        before=shown[-1].id if len(found) > _PAGE_LENGTH else None,
        is_first=not visit.query("before"),
    )


def _found(session: Session, asked: AuditQuestion, before: str) -> list[Entry]:
    return audit.entries(
        session,
        actors=asked.actors,
        actions=asked.actions,
        conversation_id=asked.conversation_id,
        person_id=asked.person_id,
        before=as_id(before),
        limit=_PAGE_LENGTH + 1,
    )


PAGES = (PageRoute(path="/audit", method="GET", role=Role.COUNSELLOR, handler=entries),)
