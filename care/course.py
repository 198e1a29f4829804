"""How danger runs through one conversation: it rises at once, falls slowly, and outlives the model's window.

Pure: `assess` takes the course so far and one screened message and gives the new course and what to say. Every field
of a course can be stored as JSON; the caller keeps it with the conversation and never shortens it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from care.age import ADULT
from care.screening import Route, Screening, Tier
from care.scripts import IN_PROGRESS, Script, Voice, for_minor, on_easing, on_return, respond

SOFT_INTERVAL: Final = timedelta(hours=12)  # tier 1: the gentle question at most this often
SILENCE: Final = timedelta(hours=1)  # after it, somebody who was in danger is asked again
NUDGE_EVERY: Final = 4  # messages; at tier 2 our own next step comes even if these sound calm


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """What must pass without any risk before a tier goes down by one."""

    messages: int
    time: timedelta


CALM_BEFORE_EASING: Final = {
    Tier.ACUTE: Calm(messages=6, time=timedelta(hours=1)),
    Tier.ACTIVE: Calm(messages=10, time=timedelta(hours=24)),
    Tier.DISTRESS: Calm(messages=10, time=timedelta(days=7)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The danger of one conversation so far."""

    tier: Tier = Tier.NONE
    route: Route = Route.NONE
    age: int | None = None
    risk_at: datetime | None = None  # the last message that carried risk
    heard_at: datetime | None = None  # the last message of any kind
    asked_at: datetime | None = None  # our last script
    calm_messages: int = 0  # since the last risk, or since the tier last went down
    said: tuple[str, ...] = ()  # keys of our scripts, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What one message led to: the new course, and what we say ourselves."""

    course: Course
    scripts: tuple[Script, ...]  # in the order in which they are to be sent
    raises_alarm: bool  # the admins are to be told; how often is theirs to say
    is_urgent: bool = False  # something is being done right now

    @property
    def bypasses_model(self) -> bool:
        return self.course.tier is Tier.ACUTE


def assess(course: Course, screening: Screening, now: datetime, voice: Voice) -> Assessment:
    """Take one message into the course and choose what we say ourselves."""
    risen = _rise(course, screening, now) if screening.tier else _ease(course, now)
    risen = replace(risen, age=screening.age if screening.age is not None else course.age, heard_at=now)
    scripts = _scripts(course, risen, screening, now, voice)
    said = (*risen.said, *(script.key for script in scripts))
    return Assessment(
        course=replace(risen, said=said, asked_at=now if scripts else course.asked_at),
        scripts=scripts,
        raises_alarm=screening.tier >= Tier.ACTIVE,
        is_urgent=_is_urgent(screening),
    )


def _rise(course: Course, screening: Screening, now: datetime) -> Course:
    tier = max(course.tier, screening.tier)
    leads = screening.tier >= course.tier or screening.route is Route.SELF
    return replace(course, tier=tier, route=screening.route if leads else course.route, risk_at=now, calm_messages=0)


def _ease(course: Course, now: datetime) -> Course:
    if course.tier is Tier.NONE or course.risk_at is None:
        return course
    calm = replace(course, calm_messages=course.calm_messages + 1)
    needed = CALM_BEFORE_EASING[course.tier]
    if calm.calm_messages < needed.messages or now - course.risk_at < needed.time:
        return calm
    tier = Tier(course.tier - 1)
    return replace(calm, tier=tier, route=course.route if tier else Route.NONE, risk_at=now, calm_messages=0)


def _scripts(before: Course, course: Course, screening: Screening, now: datetime, voice: Voice) -> tuple[Script, ...]:
    chosen = (_main_script(before, course, screening, now, voice), _minor_script(course, voice))
    return tuple(script for script in chosen if script)


def _main_script(before: Course, course: Course, screening: Screening, now: datetime, voice: Voice) -> Script | None:
    if course.tier < before.tier:
        return on_easing(tier=course.tier, said=course.said, voice=voice) if before.route is Route.SELF else None
    if not screening.tier and _was_silent(before, now) and course.route is Route.SELF:
        return on_return(tier=course.tier, said=course.said, voice=voice)
    if _is_due(before, course, screening, now):
        return _next(course, screening, voice)
    return None


def _is_due(before: Course, course: Course, screening: Screening, now: datetime) -> bool:
    match course.tier:
        case Tier.ACUTE:
            return True
        case Tier.ACTIVE:
            return bool(screening.tier) or course.calm_messages % NUDGE_EVERY == 0
        case Tier.DISTRESS:
            is_soft_due = before.asked_at is None or now - before.asked_at >= SOFT_INTERVAL
            return bool(screening.tier) and (is_soft_due or before.tier is Tier.NONE)
        case Tier.NONE:
            return False


def _next(course: Course, screening: Screening, voice: Voice) -> Script | None:
    return respond(tier=course.tier, route=course.route, said=course.said, voice=voice, urgent=_is_urgent(screening))


def _minor_script(course: Course, voice: Voice) -> Script | None:
    is_minor = course.age is not None and course.age < ADULT
    return for_minor(tier=course.tier, said=course.said, voice=voice) if is_minor else None


def _was_silent(before: Course, now: datetime) -> bool:
    return before.tier >= Tier.ACTIVE and before.heard_at is not None and now - before.heard_at >= SILENCE


def _is_urgent(screening: Screening) -> bool:
    return IN_PROGRESS in screening.reasons
