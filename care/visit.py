"""A visit: one stretch of use, from which reminders, rests and the day's label are counted. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Final

from care.age import AgeBand
from care.disclosure import LONG_PAUSE, Reminder, begins_visit, reminder

RESOLUTION: Final = timedelta(minutes=5)  # how exactly the last message's time is kept
MINORS_REMINDER: Final = timedelta(minutes=30)
MINORS_SESSION: Final = timedelta(hours=1)
MINORS_REST: Final = timedelta(minutes=15)
_CLIENTS_DAY: Final = timezone(timedelta(hours=8))  # whose mornings begin a new day


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """How long somebody has been here, and what they were told in that time."""

    began_at: datetime | None = None
    heard_at: datetime | None = None  # the last message, to within a few minutes
    reminded_at: datetime | None = None
    labelled_at: datetime | None = None  # the last reply that said it was made by a machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """What a message that arrives now means for the visit."""

    visit: Visit
    reminder: Reminder | None = None
    is_return: bool = False  # they were here before, and this is a new visit
    is_resting: bool = False  # under age, and here for long enough


def attend(visit: Visit, *, band: AgeBand | None, now: datetime) -> Attendance:
    """Count a message that arrives now."""
    if visit.began_at is None or begins_visit(heard_at=visit.heard_at, now=now):
        return _begin(visit, now)
    if band is AgeBand.MINOR and now - visit.began_at >= MINORS_SESSION:
        return _rest(visit, visit.began_at, now)
    due = _reminder(visit, band, now)
    reminded = replace(visit, reminded_at=now) if due else visit
    return Attendance(visit=_heard(reminded, now), reminder=due)


def is_label_due(visit: Visit, now: datetime) -> bool:
    """Whether the next reply is the first of the day."""
    if visit.labelled_at is None:
        return True
    return visit.labelled_at.astimezone(_CLIENTS_DAY).date() != now.astimezone(_CLIENTS_DAY).date()


def _begin(visit: Visit, now: datetime) -> Attendance:
    is_long_ago = visit.heard_at is not None and now - visit.heard_at >= LONG_PAUSE
    return Attendance(
        visit=replace(visit, began_at=now, heard_at=now, reminded_at=None),
        reminder=Reminder.RETURN if is_long_ago else None,
        is_return=visit.heard_at is not None,
    )


def _rest(visit: Visit, began_at: datetime, now: datetime) -> Attendance:
    """Messages sent during a rest do not extend it."""
    if now - began_at < MINORS_SESSION + MINORS_REST:
        return Attendance(visit=visit, is_resting=True)
    return _begin(visit, now)


def _heard(visit: Visit, now: datetime) -> Visit:
    is_stale = visit.heard_at is None or now - visit.heard_at >= RESOLUTION
    return replace(visit, heard_at=now) if is_stale else visit


def _reminder(visit: Visit, band: AgeBand | None, now: datetime) -> Reminder | None:
    if visit.began_at is None:
        return None
    due = reminder(visit_began_at=visit.began_at, reminded_at=visit.reminded_at, heard_at=visit.heard_at, now=now)
    if due is None and band is AgeBand.MINOR:
        since = visit.reminded_at or visit.began_at
        return Reminder.PERIODIC if now - since >= MINORS_REMINDER else None
    return due
