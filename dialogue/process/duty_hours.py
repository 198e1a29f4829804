"""The hours in which somebody of the staff looks after the conversations, as the operator writes them.

`09:00-21:00` is every day; days may stand before the hours, and several entries are separated by commas:
`Mon-Fri 09:00-12:00, Mon-Fri 14:00-18:00, Sat 10:00-16:00`. Hours may pass midnight.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Final, Self

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY_DAY: Final = frozenset(range(7))
_ENTRY: Final = re.compile(
    r"(?:(?P<first>[A-Za-z]{3})(?:-(?P<last>[A-Za-z]{3}))?\s+)?(?P<begin>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2})"
)
_CHINAS_TIME: Final = timezone(timedelta(hours=8))
_NAMES: Final = {"zh": ("一", "二", "三", "四", "五", "六", "日"), "en": tuple(day.title() for day in _DAYS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyPeriod:
    """From `begin` until `end`, on the next day if it is not later; `days` are those of `begin`, Monday is 0."""

    days: frozenset[int] = _EVERY_DAY
    begin: time
    end: time

    def holds(self, local: datetime) -> bool:
        """Whether that local time lies in it."""
        now, today, yesterday = local.time(), local.weekday() in self.days, (local.weekday() - 1) % 7 in self.days
        if self.begin < self.end:
            return today and self.begin <= now < self.end
        return (today and now >= self.begin) or (yesterday and now < self.end)

    def spoken(self, locale: str) -> str:
        """For people: 每天 09:00–21:00."""
        hours = f"{self.begin:%H:%M}–{self.end:%H:%M}"
        names = _NAMES[locale]
        if self.days == _EVERY_DAY:
            return f"每天 {hours}" if locale == "zh" else f"every day {hours}"
        days = sorted(self.days)
        if len(days) > 2 and days == list(range(days[0], days[-1] + 1)):  # noqa: PLR2004 - a range of days
            between = "至周" if locale == "zh" else "–"
            return f"{'周' if locale == 'zh' else ''}{names[days[0]]}{between}{names[days[-1]]} {hours}"
        listed = "、周".join(names[day] for day in days) if locale == "zh" else ", ".join(names[day] for day in days)
        return f"{'周' if locale == 'zh' else ''}{listed} {hours}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyHours:
    """When somebody is on duty, in the operator's time zone."""

    periods: tuple[DutyPeriod, ...]
    zone: tzinfo = field(default=_CHINAS_TIME)

    @classmethod
    def parse(cls, written: str, *, zone: tzinfo = _CHINAS_TIME) -> Self | None:
        """None for an empty text; ValueError, which shows no value, for anything that is no list of hours."""
        entries = [entry.strip() for entry in written.split(",") if entry.strip()]
        if not entries:
            return None
        return cls(periods=tuple(_period(number, entry) for number, entry in enumerate(entries, start=1)), zone=zone)

    def hold(self, now: datetime) -> bool:
        """Whether somebody is on duty now."""
        local = now.astimezone(self.zone)
        return any(period.holds(local) for period in self.periods)

    def spoken(self, locale: str) -> str:
        """For people, without the time zone."""
        return ("，" if locale == "zh" else ", ").join(period.spoken(locale) for period in self.periods)


def _period(number: int, entry: str) -> DutyPeriod:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise ValueError(f"entry {number} must be hours like 09:00-21:00 or Mon-Fri 09:00-21:00")
    days = _EVERY_DAY if found["first"] is None else _days(number, found["first"], found["last"] or found["first"])
    return DutyPeriod(days=days, begin=_time(number, found["begin"]), end=_time(number, found["end"]))


def _days(number: int, first: str, last: str) -> frozenset[int]:
    if not {first.lower(), last.lower()} <= {*_DAYS}:
        raise ValueError(f"entry {number} must name days as Mon, Tue, Wed, Thu, Fri, Sat, Sun")
    begin, end = _DAYS.index(first.lower()), _DAYS.index(last.lower())
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _time(number: int, written: str) -> time:
    hours, minutes = map(int, written.split(":"))
    if (hours, minutes) == (24, 0):
        return time(0)
    try:
        return time(hours, minutes)
    except ValueError:
        raise ValueError(f"entry {number} must have hours between 00:00 and 24:00") from None
