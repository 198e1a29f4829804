"""The course of danger of one person as a small chart: steps from alarm to alarm, without scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dialogue.admin.person_facts import RiskPoint

WIDTH, HEIGHT = 320, 84
_LEFT, _RIGHT, _TOP, _BOTTOM = 14, 8, 8, 18
_HIGHEST = 3
_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskDot:
    """One alarm; `words` is its time as the reader sees it."""

    x: float
    y: float
    tier: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskChart:
    """Coordinates of an SVG of `WIDTH` by `HEIGHT`."""

    dots: list[RiskDot]
    tiers: list[tuple[int, float]]
    begins: str
    width: int = WIDTH
    height: int = HEIGHT


def draw(points: Sequence[RiskPoint], zone: ZoneInfo, *, now: datetime) -> RiskChart | None:
    """None without any alarm."""
    if not points:
        return None
    first = points[0].at
    span = max(now - first, _SHORTEST)

    def x(moment: datetime) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * ((moment - first) / span), 1)

    def y(tier: int) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * tier / _HIGHEST, 1)

    dots = [
        RiskDot(x=x(point.at), y=y(point.tier), tier=point.tier, words=f"{point.at.astimezone(zone):%Y-%m-%d %H:%M}")
        for point in points
    ]
    tiers = [(tier, y(tier)) for tier in range(_HIGHEST + 1)]
    return RiskChart(dots=dots, tiers=tiers, begins=f"{first.astimezone(zone):%m-%d}")
