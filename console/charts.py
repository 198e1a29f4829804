"""Chart geometry, which the templates draw as SVG without scripts. Times are in the reader's zone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil, floor, log10
from zoneinfo import ZoneInfo

from console import histograms
from console.figures import HOUR, Hour, Week
from dialogue.states import TurnState

WIDTH, HEIGHT = 720, 180
_LEFT, _BOTTOM, _TOP = 44, 22, 10


class Span(StrEnum):
    """The time that a chart covers."""

    DAY = "day"  # 24 bars of an hour
    WEEK = "week"  # 28 bars of six hours


_BARS = {Span.DAY: (24, HOUR), Span.WEEK: (28, 6 * HOUR)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Several hours summed: one bar."""

    starts_at: datetime
    hours: Sequence[Hour]

    def turns(self, state: TurnState) -> int:
        return sum(hour.turns.get(state, 0) for hour in self.hours)

    def alarms(self, tier: int) -> int:
        return sum(hour.alarms.get(f"tier {tier}", 0) for hour in self.hours)

    def tokens(self) -> int:
        return sum(hour.reply_tokens for hour in self.hours)

    def first_token(self, share: float) -> float | None:
        return histograms.quantile(histograms.total(hour.first_token for hour in self.hours), share)

    def whole(self, share: float) -> float | None:
        return histograms.quantile(histograms.total(hour.whole for hour in self.hours), share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of a chart: `key` names it, `values` has one number per period, None for no data."""

    key: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A segment of a stacked bar."""

    x: float
    y: float
    width: float
    height: float
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Polyline:
    """The line segments of one series, as SVG points; a period without a value breaks the line."""

    key: str
    runs: Sequence[str]
    dots: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart ready to draw. `columns` are the periods with their numbers, for tooltips and the table below."""

    key: str
    keys: Sequence[str]
    boxes: Sequence[Box]
    lines: Sequence[Polyline]
    y_marks: Sequence[tuple[float, str]]
    x_marks: Sequence[tuple[float, str]]
    columns: Sequence[tuple[float, float, str, Sequence[float | None]]]
    is_empty: bool


def periods(week: Week, span: Span, zone: ZoneInfo, *, now: datetime) -> list[Period]:
    """The periods of a span, oldest first; the last is still running."""
    count, length = _BARS[span]
    local = now.astimezone(zone)
    step_hours = length // HOUR
    current = local.replace(hour=local.hour - local.hour % step_hours, minute=0, second=0, microsecond=0)
    starts = [current - length * age for age in reversed(range(count))]  # by the wall clock
    ends = [*starts[1:], current + length]
    return [
        Period(starts_at=start, hours=[hour for at, hour in week.hours.items() if start <= at.astimezone(zone) < end])
        for start, end in zip(starts, ends, strict=True)
    ]


def bars(key: str, span: Span, over: Sequence[Period], series: Sequence[Series]) -> Chart:
    """Stacked: the first series lies at the bottom."""
    tops = [sum(one.values[index] or 0 for one in series) for index in range(len(over))]
    frame = _Frame(len(over), max(tops, default=0), least_step=1)
    boxes = []
    for index in range(len(over)):
        below = 0.0
        for one in series:
            value = one.values[index] or 0
            if value:
                top = frame.y(below + value)
                boxes.append(
                    Box(
                        x=frame.x(index) + 1,
                        y=top,
                        width=frame.step - 2,
                        height=round(frame.y(below) - top, 2),
                        key=one.key,
                    )
                )
            below += value
    return _chart(key, span, over, series, frame, boxes=boxes, lines=[], mark=_plain)


def lines(key: str, span: Span, over: Sequence[Period], series: Sequence[Series]) -> Chart:
    """Durations in seconds."""
    frame = _Frame(len(over), max((value or 0 for one in series for value in one.values), default=0), least_step=0)
    drawn = [_line(one, frame) for one in series]
    return _chart(key, span, over, series, frame, boxes=[], lines=drawn, mark=_seconds)


def all_charts(week: Week, span: Span, zone: ZoneInfo, *, now: datetime) -> list[Chart]:
    """Turns, the two latencies, tokens, alarms."""
    over = periods(week, span, zone, now=now)
    states = (TurnState.ANSWERED, TurnState.DISCARDED, TurnState.FAILED, TurnState.GENERATING, TurnState.WAITING)
    return [
        bars("turns", span, over, [Series(key=state, values=[one.turns(state) for one in over]) for state in states]),
        bars("failures", span, over, [Series(key="failed", values=[one.turns(TurnState.FAILED) for one in over])]),
        lines("first_token", span, over, _quantiles(over, Period.first_token)),
        lines("whole", span, over, _quantiles(over, Period.whole)),
        bars("tokens", span, over, [Series(key="tokens", values=[one.tokens() for one in over])]),
        bars("alarms", span, over, [Series(key=f"tier{n}", values=[one.alarms(n) for one in over]) for n in (2, 3)]),
    ]


def _quantiles(over: Sequence[Period], of: Callable[[Period, float], float | None]) -> list[Series]:
    return [Series(key=f"p{round(100 * share)}", values=[of(one, share) for one in over]) for share in (0.5, 0.95)]


class _Frame:
    """Scales values to drawing coordinates."""

    def __init__(self, count: int, largest: float, *, least_step: float) -> None:
        self.step = (WIDTH - _LEFT) / count
        self.mark_step = max(least_step, _round_up(largest / 4) if largest else 1.0)
        self.top = self.mark_step * max(1, ceil(largest / self.mark_step))

    def x(self, index: float) -> float:
        return round(_LEFT + index * self.step, 2)

    def y(self, value: float) -> float:
        return round(HEIGHT - _BOTTOM - value / self.top * (HEIGHT - _BOTTOM - _TOP), 2)

    def marks(self) -> list[float]:
        return [self.mark_step * index for index in range(round(self.top / self.mark_step) + 1)]


def _line(series: Series, frame: _Frame) -> Polyline:
    runs: list[list[str]] = [[]]
    dots = []
    for index, value in enumerate(series.values):
        if value is None:
            runs.append([])
        else:
            place = (round(frame.x(index + 0.5), 2), frame.y(value))
            runs[-1].append(f"{place[0]},{place[1]}")
            dots.append(place)
    return Polyline(key=series.key, runs=[" ".join(run) for run in runs if len(run) > 1], dots=dots)


def _chart(
    key: str,
    span: Span,
    over: Sequence[Period],
    series: Sequence[Series],
    frame: _Frame,
    *,
    boxes: Sequence[Box],
    lines: Sequence[Polyline],
    mark: Callable[[float], str],
) -> Chart:
    return Chart(
        key=key,
        keys=[one.key for one in series],
        boxes=boxes,
        lines=lines,
        y_marks=[(frame.y(value), mark(value)) for value in frame.marks()],
        x_marks=_x_marks(span, over, frame),
        columns=[
            (frame.x(index), round(frame.step, 2), f"{one.starts_at:%m-%d %H:%M}", [s.values[index] for s in series])
            for index, one in enumerate(over)
        ],
        is_empty=not any(value for one in series for value in one.values),
    )


def _x_marks(span: Span, over: Sequence[Period], frame: _Frame) -> list[tuple[float, str]]:
    """Every fourth hour of a day, every midnight of a week."""
    if span is Span.DAY:
        return [(frame.x(i), f"{one.starts_at:%H:%M}") for i, one in enumerate(over) if one.starts_at.hour % 4 == 0]
    return [(frame.x(i), f"{one.starts_at:%m-%d}") for i, one in enumerate(over) if one.starts_at.hour == 0]


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(value))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value * 0.999999)


def _plain(value: float) -> str:
    if value >= 10_000:  # noqa: PLR2004 - five digits do not fit beside the axis
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _seconds(value: float) -> str:
    return f"{value:g} s"
