"""Charts of the last day and the last week."""

import csv
import io

from starlette.responses import Response

from console.charts import HEIGHT, WIDTH, Span, all_charts
from console.gate import PageRoute
from console.page_request import PageRequest
from dialogue.states import Role, TurnState


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


def table(visit: PageRequest) -> Response:
    """The hours of the last week as CSV, in the reader's time zone; no person can be told from it."""
    week = visit.services.gatherer.week()
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(
        ["hour", *(f"turns_{state}" for state in TurnState), "reply_tokens", "alarms_tier_2", "alarms_tier_3"]
    )
    for starts_at, hour in sorted(week.hours.items()):
        turns = [hour.turns.get(state, 0) for state in TurnState]
        alarms = [hour.alarms.get(f"tier {tier}", 0) for tier in (2, 3)]
        rows.writerow([starts_at.astimezone(visit.zone).isoformat(), *turns, hour.reply_tokens, *alarms])
    name = f"figures-{visit.now.astimezone(visit.zone):%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(written.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


PAGES = (
    PageRoute(path="/figures", method="GET", role=Role.VIEWER, handler=charts),
    PageRoute(path="/figures.csv", method="GET", role=Role.VIEWER, handler=table),
)
