"""How danger runs through the days of one person: it rises at once, falls slowly, and outlives conversations.

Pure: `assess` takes the course so far and one screened message and gives the new course and what to say. Every field
of a course can be stored as JSON; the caller keeps it with the person and never shortens it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from care.age import ADULT, AgeBand
from care.answers import Asks, Learnt
from care.screening import ANSWER_REASON, DETECTOR_REASON, TOGETHER_REASON, Context, Route, Screening, Tier
from care.scripts import (
    ACCOMPANIED,
    CALLED,
    CONTACT,
    DENIED,
    EASED,
    EXIT,
    FEW_WORDS,
    HANDED_OVER,
    LEAVING,
    PAST,
    RECOVERED,
    REFUSES,
    Says,
    Script,
    Voice,
    for_minor,
    is_contact,
    is_stay,
    named,
    on_easing,
    on_return,
    respond,
)

SOFT_INTERVAL: Final = timedelta(hours=12)  # tier 1: the gentle question at most this often
SILENCE: Final = timedelta(hours=1)  # after it, somebody who was in danger is asked again
NUDGE_EVERY: Final = 2  # messages; at tier 2 our own next step comes even if these sound calm
STAY_EVERY: Final = 6  # ... once all steps were said
QUESTION_STANDS: Final = timedelta(minutes=30)  # so long a short answer is an answer to what we asked


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
_OWN_QUESTIONS: Final = frozenset({Route.HARM_TO_OTHERS, Route.THIRD_PARTY, Route.PSYCHOSIS})
_NO_RULES: Final = frozenset({ANSWER_REASON, DETECTOR_REASON, TOGETHER_REASON})
_URGENT_RULES: Final = frozenset({"in_progress", "swallowed"})
_OTHERS_URGENT_RULES: Final = frozenset({*_URGENT_RULES, "other_is_hurt"})
_CHILD_URGENT_RULES: Final = frozenset({"child_made_quiet"})
_DOUBTS: Final = frozenset({Learnt.MISREAD, Learnt.RETRACTS})
_SUPPORTS: Final = frozenset({Learnt.COMPANY, Learnt.CALLED, Learnt.HANDED_OVER})
# what is answered before the next step of the route, the most pressing first
_BRANCHES: Final = (
    (Learnt.CALLED, CALLED),
    (Learnt.HANDED_OVER, HANDED_OVER),
    (Learnt.CALMER, RECOVERED),
    (Learnt.COMPANY, ACCOMPANIED),
    (Learnt.LEAVING, LEAVING),
    (Learnt.REFUSES, REFUSES),
    (Learnt.FEW_WORDS, FEW_WORDS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The danger of one person so far."""

    tier: Tier = Tier.NONE
    route: Route = Route.NONE
    age: int | None = None
    risk_at: datetime | None = None  # the last message that carried risk
    heard_at: datetime | None = None  # the last message of any kind
    asked_at: datetime | None = None  # our last script
    calm_messages: int = 0  # since the last risk, or since the tier last went down
    said: tuple[str, ...] = ()  # keys of our scripts, oldest first
    asked: tuple[Asks, ...] = ()  # by our last script
    learnt: tuple[Learnt, ...] = ()  # since the course began, sorted
    doubts: int = 0  # how often the person said that we misunderstood, since the last risk
    is_grave: bool = False  # something was done, or is at hand: not taken back by a joke


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


def context_of(course: Course, now: datetime, *, recent: tuple[str, ...] = (), band: AgeBand | None = None) -> Context:
    """What the next message is heard in. `recent`: what the person wrote in the same breath, oldest first."""
    stands = course.asked_at is not None and now - course.asked_at <= QUESTION_STANDS
    asked = course.asked if stands else ()
    learnt, is_minor = frozenset(course.learnt), _is_minor(course, band)
    return Context(recent=recent, asked=asked, tier=course.tier, learnt=learnt, is_minor=is_minor)


def assess(
    course: Course, screening: Screening, now: datetime, voice: Voice, *, band: AgeBand | None = None
) -> Assessment:
    """Take one message into the course and choose what we say ourselves. `band`: what is known of the person's age."""
    screening = _as_heard_in(course, screening)
    heard = replace(
        course,
        age=screening.age if screening.age is not None else course.age,
        learnt=_learnt(course, screening),
    )
    moved = replace(_move(heard, screening, now), heard_at=now)
    scripts = _scripts(course, moved, screening, now, voice, is_minor=_is_minor(heard, band))
    return Assessment(
        course=_told(moved, scripts, now),
        scripts=scripts,
        raises_alarm=screening.tier >= Tier.ACTIVE,
        is_urgent=_is_urgent(screening),
    )


def without_contact(assessment: Assessment, voice: Voice) -> Assessment:
    """For somebody who has named an emergency contact already, or whom others can read: they are not asked for one."""
    kept = tuple(script for script in assessment.scripts if not is_contact(script))
    if len(kept) == len(assessment.scripts):
        return assessment
    eased = on_easing(tier=assessment.course.tier, said=assessment.course.said, voice=voice)
    return replace(assessment, scripts=kept or tuple([eased] if eased else []))


def go_on(course: Course, now: datetime, voice: Voice) -> tuple[Course, Script | None]:
    """The next step of somebody in danger whose words told nothing: we neither fall silent nor change the subject."""
    learnt = course.learnt
    script = respond(tier=course.tier, route=course.route, said=course.said, voice=voice, learnt=learnt)
    return (course, None) if script is None else (_told(course, (script,), now), script)


def _learnt(course: Course, screening: Screening) -> tuple[Learnt, ...]:
    """What they have told in this course; who says that it is done is hurt, whatever words they used."""
    if not (course.tier or screening.tier):
        return ()
    done = {Learnt.HURT} if _is_urgent(screening) else set[Learnt]()
    return tuple(sorted({*course.learnt, *screening.learnt, *done}))


def _as_heard_in(course: Course, screening: Screening) -> Screening:
    """An answer belongs to what was asked: to the course's route; and near is near to whom they told of."""
    if course.route is Route.ABUSE and Learnt.UNSAFE in screening.learnt:
        return replace(screening, tier=Tier.ACUTE, route=Route.ABUSE)
    is_answer = ANSWER_REASON in screening.reasons and {*screening.reasons} <= _NO_RULES
    if screening.route is Route.SELF and is_answer and course.route in _OWN_QUESTIONS:
        return replace(screening, route=course.route)
    if course.tier >= Tier.ACTIVE and screening.route is Route.THIRD_PARTY and screening.tier <= course.tier:
        return replace(screening, tier=Tier.NONE, route=Route.NONE) if course.route is Route.ABUSE else screening
    return screening


def _move(course: Course, screening: Screening, now: datetime) -> Course:
    if screening.tier:
        return _rise(course, screening, now)
    if course.tier >= Tier.ACTIVE and _doubts(course, screening):
        return _doubted(course, now)
    is_hurt = Learnt.HURT in course.learnt  # calm words do not tell how the body is
    if (
        course.tier >= Tier.ACTIVE
        and Learnt.CALMER in screening.learnt
        and set(course.learnt) & _SUPPORTS
        and not is_hurt
    ):
        return _lowered(course, Tier(course.tier - 1), now)
    return _ease(course, now)


def _rise(course: Course, screening: Screening, now: datetime) -> Course:
    if course.tier >= Tier.ACTIVE and screening.tier <= Tier.DISTRESS and not screening.is_past:
        return course  # a passive remark is neither calm nor a new beginning of the danger
    tier = max(course.tier, screening.tier)
    is_sure = {*screening.reasons} != {DETECTOR_REASON}
    leads = screening.tier >= course.tier or (screening.route is Route.SELF and is_sure)
    route = screening.route if leads else course.route
    is_grave = course.is_grave or _is_grave(screening)
    return replace(course, tier=tier, route=route, risk_at=now, calm_messages=0, doubts=0, is_grave=is_grave)


def _doubts(course: Course, screening: Screening) -> bool:
    """They say that we misunderstood, or say no to the plain question that we asked because of it.

    What only sounds like an explanation lets us ask; it is no answer.
    """
    if course.doubts:
        return bool(screening.learnt & {*_DOUBTS, Learnt.NO_THOUGHT})
    return bool(screening.learnt & {*_DOUBTS, Learnt.EXPLAINS})


def _doubted(course: Course, now: datetime) -> Course:
    """The first time we ask, once and plainly; the second time it is over."""
    if not course.doubts:
        return replace(course, doubts=1, calm_messages=course.calm_messages + 1)
    explained = bool({Learnt.MISREAD, Learnt.EXPLAINS} & {*course.learnt})
    down_to = Tier.DISTRESS if explained or not course.is_grave else Tier.ACTIVE
    return replace(_lowered(course, min(down_to, course.tier), now), doubts=course.doubts + 1)


def _ease(course: Course, now: datetime) -> Course:
    if course.tier is Tier.NONE or course.risk_at is None:
        return course
    calm = replace(course, calm_messages=course.calm_messages + 1)
    needed = CALM_BEFORE_EASING[course.tier]
    if calm.calm_messages < needed.messages or now - course.risk_at < needed.time:
        return calm
    return _lowered(calm, Tier(course.tier - 1), now)


def _lowered(course: Course, tier: Tier, now: datetime) -> Course:
    if not tier:
        return Course(age=course.age, said=course.said)
    return replace(course, tier=tier, risk_at=now, calm_messages=0, is_grave=False)


def _told(course: Course, scripts: tuple[Script, ...], now: datetime) -> Course:
    if not scripts:
        return course
    asked = tuple(dict.fromkeys(question for script in scripts for question in script.asks)) or _still_open(course)
    return replace(course, said=(*course.said, *(script.key for script in scripts)), asked=asked, asked_at=now)


def _still_open(course: Course) -> tuple[Asks, ...]:
    """Behind a script that asks nothing: a time or a means is still the answer to what was asked before it."""
    return (Asks.TIME,) if {*course.asked} & {Asks.THOUGHT, Asks.PLAN, Asks.MEANS, Asks.TIME} else ()


def _scripts(
    before: Course, course: Course, screening: Screening, now: datetime, voice: Voice, *, is_minor: bool
) -> tuple[Script, ...]:
    main = _main_script(before, course, screening, now, voice)
    minor = for_minor(tier=course.tier, said=course.said, voice=voice) if is_minor else None
    if minor is not None and course.tier is Tier.ACUTE:
        minor = replace(minor, says=Says.INSTEAD)  # there is no reply of the model's to stand behind
    return tuple(script for script in (main, minor) if script)


def _main_script(before: Course, course: Course, screening: Screening, now: datetime, voice: Voice) -> Script | None:
    said = course.said
    if course.tier < before.tier:
        return _on_easing(before, course, voice)
    if course.tier >= Tier.ACTIVE and course.doubts and not before.doubts and not screening.tier:
        return named(DENIED, tier=course.tier, said=said, voice=voice)
    branch = _branch(course, screening, voice)
    if branch is not None:
        return branch
    if not screening.tier and _was_silent(before, now) and course.route is Route.SELF:
        return on_return(tier=course.tier, said=said, voice=voice)
    if not _is_due(before, course, screening, now):
        return None
    is_over = screening.is_past and course.tier is Tier.DISTRESS
    return named(PAST, tier=course.tier, said=said, voice=voice) if is_over else _next(course, screening, voice)


def _on_easing(before: Course, course: Course, voice: Voice) -> Script | None:
    if course.doubts > 1:
        return named(EASED, tier=Tier.ACTIVE, said=course.said, voice=voice)
    if before.route is not Route.SELF and not course.doubts:
        return None
    if before.tier is Tier.ACTIVE:
        contact = named(CONTACT, tier=Tier.DISTRESS, said=course.said, voice=voice)
        if contact is not None and contact.key not in course.said:
            return contact
    return on_easing(tier=course.tier, said=course.said, voice=voice)


def _branch(course: Course, screening: Screening, voice: Voice) -> Script | None:
    """What they told of how things stand is answered before the next step; each branch twice at most."""
    if course.tier < Tier.ACTIVE or screening.tier >= Tier.ACTIVE or _is_urgent(screening):
        return None
    if course.route is not Route.SELF:
        is_leaving = Learnt.LEAVING in screening.learnt
        return named(EXIT, tier=course.tier, said=course.said, voice=voice) if is_leaving else None
    for learnt, step in _BRANCHES:
        if learnt in screening.learnt:
            script = named(step, tier=course.tier, said=course.said, voice=voice)
            if script is not None and script.key not in course.said:
                return script
    return None


def _is_due(before: Course, course: Course, screening: Screening, now: datetime) -> bool:
    match course.tier:
        case Tier.ACUTE:
            return True
        case Tier.ACTIVE:
            return bool(screening.tier) or course.calm_messages % NUDGE_EVERY == 0
        case Tier.DISTRESS:
            is_soft_due = before.asked_at is None or now - before.asked_at >= SOFT_INTERVAL
            is_other_route = course.route is not before.route
            return bool(screening.tier) and (is_soft_due or before.tier is Tier.NONE or is_other_route)
        case Tier.NONE:
            return False


def _next(course: Course, screening: Screening, voice: Voice) -> Script | None:
    script = respond(
        tier=course.tier,
        route=course.route,
        said=course.said,
        voice=voice,
        urgent=_is_urgent(screening) or _is_others_body(screening),
        learnt=course.learnt,
    )
    is_calm = course.tier is Tier.ACTIVE and not screening.tier
    is_early = script is not None and is_stay(script) and course.calm_messages % STAY_EVERY != 0
    return None if is_calm and is_early else script


def _is_minor(course: Course, band: AgeBand | None) -> bool:
    return band in {AgeBand.CHILD, AgeBand.MINOR} or (course.age is not None and course.age < ADULT)


def _was_silent(before: Course, now: datetime) -> bool:
    return before.tier >= Tier.ACTIVE and before.heard_at is not None and now - before.heard_at >= SILENCE


def _is_urgent(screening: Screening) -> bool:
    is_own = screening.route is Route.SELF
    return is_own and (bool(_URGENT_RULES & {*screening.reasons}) or Learnt.HURT in screening.learnt)


def _is_others_body(screening: Screening) -> bool:
    """Something was done to somebody else's body, by themselves or by the writer: first aid comes first."""
    if screening.route is Route.HARM_TO_OTHERS:
        return bool(_CHILD_URGENT_RULES & {*screening.reasons})
    return screening.route is Route.THIRD_PARTY and bool(_OTHERS_URGENT_RULES & {*screening.reasons})


def _is_grave(screening: Screening) -> bool:
    return (
        _is_urgent(screening) or bool(screening.learnt & {Learnt.AT_HAND, Learnt.HURT}) or screening.tier is Tier.ACUTE
    )
