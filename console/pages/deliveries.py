"""Failed deliveries, newest first, for a human to decide about."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select, tuple_
from sqlalchemy.orm import Session
from starlette.responses import Response

from console.gate import PageRoute
from console.page_request import PageRequest, as_id
from dialogue.states import UNDELIVERED_STATES, DeliveryKind, DeliveryState, Role
from dialogue.tables import DELIVERIES

_PAGE_LENGTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A delivery without its text."""

    id: UUID
    conversation_id: UUID | None
    channel: str
    kind: DeliveryKind
    state: DeliveryState
    error: str | None
    attempt: int
    created_at: datetime
    is_kept: bool


_COLUMNS = [DELIVERIES.c[name] for name in Failed.__slots__ if name != "is_kept"]
_PLACE = (DELIVERIES.c.created_at, DELIVERIES.c.id)
_NEWEST = (
    select(*_COLUMNS, DELIVERIES.c.text.is_not(None).label("is_kept"))
    .where(DELIVERIES.c.state.in_(UNDELIVERED_STATES))
    .order_by(*(column.desc() for column in _PLACE))
    .limit(_PAGE_LENGTH + 1)
)
_AFTER = tuple_(*(bindparam(column.name, type_=column.type) for column in _PLACE))
_OLDER = _NEWEST.where(tuple_(*_PLACE) < _AFTER)
_PLACE_OF = select(*_PLACE).where(DELIVERIES.c.id == bindparam("id"))


def failed(visit: PageRequest) -> Response:
    with visit.services.database.read() as session:
        found = _page(session, as_id(visit.query("before")))
    shown = found[:_PAGE_LENGTH]
    return visit.page(
        "deliveries.html",
        deliveries=shown,
        before=shown[-1].id if len(found) > _PAGE_LENGTH else None,
        is_first=not visit.query("before"),
    )


def _page(session: Session, before: UUID | None) -> list[Failed]:
    place = session.execute(_PLACE_OF, {"id": before}).first() if before is not None else None
    rows = session.execute(_OLDER, place._asdict()) if place is not None else session.execute(_NEWEST)
    return [Failed(**row) for row in rows.mappings()]


PAGES = (PageRoute(path="/deliveries", method="GET", role=Role.VIEWER, handler=failed),)
