"""Charts of the last day and the last week."""

from starlette.responses import Response

from console.charts import HEIGHT, WIDTH, Span, all_charts
from console.gate import PageRoute
from console.visit import PageRequest
from dialogue.states import Role


def charts(visit: PageRequest) -> Response:
    span = Span.WEEK if visit.query("span") == Span.WEEK else Span.DAY
    week = visit.services.gatherer.week()
    return visit.page(
        "figures.html",
        span=span,
        spans=list(Span),
        week=week,
        charts=all_charts(week, span, visit.zone, now=visit.now),
        width=WIDTH,
        height=HEIGHT,
    )


PAGES = (PageRoute(path="/figures", method="GET", role=Role.VIEWER, handler=charts),)
