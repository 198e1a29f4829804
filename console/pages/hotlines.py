"""The hotlines that people are given, and when each was last verified."""

from starlette.responses import Response

from care.hotlines import STALE_AFTER
from console.gate import PageRoute
from console.page_request import PageRequest
from dialogue.states import Role


def directory(visit: PageRequest) -> Response:
    today = visit.now.astimezone(visit.zone).date()
    chosen = visit.services.hotlines
    return visit.page(
        "hotlines.html",
        region=chosen.region,
        lines=[(line, (today - line.checked_on).days) for line in chosen.lines],
        stale_after_days=STALE_AFTER.days,
        stale=set(chosen.stale(today)),
    )


PAGES = (PageRoute(path="/hotlines", method="GET", role=Role.VIEWER, handler=directory),)
