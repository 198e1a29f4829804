"""The audit log, newest first."""

from starlette.responses import Response

from console.gate import PageRoute
from console.visit import PageRequest, as_id
from dialogue.admin import audit
from dialogue.states import Role

_PAGE_LENGTH = 50


def entries(visit: PageRequest) -> Response:
    with visit.services.database.read() as session:
        found = audit.entries(
            session,
            actor=visit.query("actor") or None,
            action=visit.query("action") or None,
            conversation_id=as_id(visit.query("conversation")),
            before=as_id(visit.query("before")),
            limit=_PAGE_LENGTH + 1,
        )
    shown = found[:_PAGE_LENGTH]
    return visit.page(
        "audit.html",
        entries=shown,
        actor=visit.query("actor"),
        action=visit.query("action"),
        conversation=visit.query("conversation"),
        before=shown[-1].id if len(found) > _PAGE_LENGTH else None,
        is_first=not visit.query("before"),
    )


PAGES = (PageRoute(path="/audit", method="GET", role=Role.COUNSELLOR, handler=entries),)
