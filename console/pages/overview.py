"""Overview page: are people being answered?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from console.gate import PageRoute
from console.page_request import QUIET, PageRequest
from dialogue.admin import audit, listing, overview
from dialogue.admin.cases import open_cases
from dialogue.admin.overview import Overview
from dialogue.core.danger_course import ALARM
from dialogue.states import Role
from dialogue.telemetry import heartbeat as presence
from dialogue.telemetry.heartbeat import Presence

SLOW_SECONDS = 60.0
"""A wait for the first token longer than this is shown as a problem."""

DEAF_SECONDS = 90.0
"""An adapter with no data from its platform for this long is reported; platforms send something every 30 s."""

REFRESH_SECONDS = 15
_ALARMS = 5
_WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process, and whether something is wrong with it."""

    presence: Presence
    is_there: bool
    is_deaf: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Totals over all running workers."""

    count: int
    batch: int
    capacity: int
    tokens_per_second: float | None


def now(visit: PageRequest) -> Response:
    with visit.services.database.read() as session:
        figures = overview.overview(session, now=visit.now)
        present = presence.present(session)
        alarms = audit.entries(session, action=ALARM, limit=_ALARMS)
        unattended = open_cases.unattended(session, minutes=visit.services.settings.case_minutes, now=visit.now)
        at_risk = listing.by_risk(session, limit=_ALARMS)
    seen = [_seen(each, visit.now) for each in present]
    return visit.page(
        "overview.html",
        figures=figures,
        oldest_seconds=_age(figures.oldest_waiting_at, visit.now),
        owed_seconds=_age(figures.oldest_owed_at, visit.now),
        slow_seconds=SLOW_SECONDS,
        workers=_workers(seen),
        processes=seen,
        adapters=[each for each in seen if _hears(each)],
        alarms=alarms,
        at_risk=[each for each in at_risk if each.tier > 0],
        unattended=unattended,
        unattended_seconds=_age(unattended.oldest_at, visit.now),
        troubles=_troubles(figures, seen, visit.now),
        refresh=f"{REFRESH_SECONDS}; url=/?{QUIET}=1",
    )


def _seen(each: Presence, moment: datetime) -> Seen:
    is_there = each.is_there(moment)
    return Seen(presence=each, is_there=is_there, is_deaf=is_there and _is_deaf(each))


def _is_deaf(each: Presence) -> bool:
    """As reported by the adapter; for an adapter of an earlier version, derived from its silence."""
    said = each.figures.get("is_deaf")
    return bool(said) if said is not None else _silence(each) > DEAF_SECONDS


def _silence(each: Presence) -> float:
    """How long an adapter has received nothing from its platform."""
    heard = each.figures.get("last_heard_seconds")
    return float(heard) if isinstance(heard, int | float) else 0.0


def _hears(each: Seen) -> bool:
    return "last_heard_seconds" in each.presence.figures


def _workers(seen: Sequence[Seen]) -> Workers:
    there = [each.presence for each in seen if each.is_there and each.presence.identity.kind == _WORKER]
    speeds = [speed for worker in there if (speed := _number(worker, "tokens_per_second")) is not None]
    return Workers(
        count=len(there),
        batch=round(sum(_number(worker, "batch") or 0 for worker in there)),
        capacity=round(sum(_number(worker, "capacity") or 0 for worker in there)),
        tokens_per_second=sum(speeds) if speeds else None,
    )


def _number(each: Presence, name: str) -> float | None:
    value = each.figures.get(name)
    return float(value) if isinstance(value, int | float) else None


def _troubles(figures: Overview, seen: Sequence[Seen], moment: datetime) -> list[str]:
    """The text keys of all problems of the machinery; empty when all is well."""
    found = []
    if (_age(figures.oldest_waiting_at, moment) or 0) > SLOW_SECONDS:
        found.append("trouble_waiting")
    if not _workers(seen).count:
        found.append("trouble_no_worker")
    if any(_hears(each) and (each.is_deaf or not each.is_there) for each in seen):
        found.append("trouble_deaf")
    if figures.failed_delivery_count:
        found.append("trouble_deliveries")
    return found


def _age(since: datetime | None, moment: datetime) -> float | None:
    return None if since is None else (moment - since).total_seconds()


PAGES = (PageRoute(path="/", method="GET", role=Role.VIEWER, handler=now),)
