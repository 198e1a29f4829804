"""Find risk in what a person writes: rules and a trained detector, before any queue, quota or model.

A message is read alone, together with what was written in the same breath, and as an answer to what we asked last.
`screen` is pure and raises only when the shipped data is broken; `screen_safely` never raises. Nothing in a result
repeats the text: reasons are the names of rules.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from itertools import takewhile
from typing import Final

from care import detector as detectors
from care.age import ADULT, stated_age
from care.answers import Asks, Learnt, is_high_place, understand
from care.detector import Detection, Detector
from care.joining import joins_the_dead, joins_the_living
from care.normalise import normalise
from care.rules import Finding, rulebook
from care.subject import Subject

MAX_FRAGMENT: Final = 4  # characters of a message that may be a piece of a sentence
MAX_FRAGMENTS: Final = 8  # of one sentence
MAX_TOLD: Final = 600  # characters of a message that are searched for the end of a story
MAX_TOGETHER: Final = 160  # characters of earlier messages that are read with a new one


class Tier(IntEnum):
    """How urgent it is."""

    NONE = 0  # nothing that our rules or detector know
    DISTRESS = 1  # a passive wish to be dead, or deep distress
    ACTIVE = 2  # an active wish to die, or injuring oneself
    ACUTE = 3  # a plan, means, a time, in progress, or an attempt


class Route(StrEnum):
    """Which conversation it calls for."""

    NONE = "none"
    SELF = "self"  # the writer's own life or body
    THIRD_PARTY = "third_party"  # somebody whom the writer worries about
    HARM_TO_OTHERS = "harm_to_others"  # the writer may hurt somebody
    ABUSE = "abuse"  # somebody hurts the writer
    PSYCHOSIS = "psychosis"  # voices, being watched, days without sleep
    EATING_DISORDER = "eating_disorder"  # starving, purging
    MINOR = "minor"  # no risk found, but the writer says to be under age


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a message is heard in."""

    recent: tuple[str, ...] = ()  # what the person wrote just before, oldest first
    asked: tuple[Asks, ...] = ()  # by our last script
    tier: Tier = Tier.NONE  # of the course so far
    learnt: frozenset[Learnt] = frozenset()  # in the course so far
    is_minor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What was found: the most urgent tier, its route, the names of what fired, and what went wrong on the way."""

    tier: Tier
    route: Route
    subject: Subject
    reasons: tuple[str, ...]
    age: int | None = None  # as stated by the writer; an estimate where only a school year is named
    learnt: frozenset[Learnt] = frozenset()
    is_past: bool = False  # an attempt or a wish that is told as over
    failures: tuple[str, ...] = field(default=())  # names of error classes, for the log and the alert

    @property
    def is_minor(self) -> bool:
        return self.age is not None and self.age < ADULT


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReading:
    """What was found in a text by itself, before it is known what it is heard in."""

    text: str = field(repr=False)
    plain: str = field(repr=False)  # normalised
    alone: Screening


DETECTOR_REASON: Final = "detector"
ANSWER_REASON: Final = "answer"
TOGETHER_REASON: Final = "together"
JOINING_REASON: Final = "joins_the_dead"
SILENCED: Final = "child_was_silenced"
_PREFERENCE: Final = (
    Route.SELF,
    Route.HARM_TO_OTHERS,
    Route.ABUSE,
    Route.PSYCHOSIS,
    Route.EATING_DISORDER,
    Route.THIRD_PARTY,
    Route.MINOR,
    Route.NONE,
)
_RELIEF: Final = frozenset(
    {
        Learnt.COMPANY,
        Learnt.CALLED,
        Learnt.HANDED_OVER,
        Learnt.CALMER,
        Learnt.MISREAD,
        Learnt.RETRACTS,
        Learnt.REFUSES,
        Learnt.NO_THOUGHT,
    }
)
_MOODS: Final = frozenset({"life_without_meaning", "wish_to_vanish", "at_breaking_point", "dying_exclaimed"})
_DEEDS: Final = frozenset({"attempt", "at_the_edge", "in_progress", "swallowed", "stands_at_height"})
_ENDS: Final = re.compile(r"[。!?;\n]+")
_NOWHERE: Final = Context()
_NOTHING_SPECIAL: Final = "今天过得还可以"


def screen(text: str, *, context: Context = _NOWHERE, detector: Detector | None = None) -> Screening:
    """Screen one message; `detector` defaults to the shipped one."""
    return screen_in_context(read(text, detector=detector), context)


def read(text: str, *, detector: Detector | None = None) -> TextReading:
    """The part of a screening that needs no context, and takes the longest."""
    plain = normalise(text)
    return TextReading(text=text, plain=plain, alone=_read(plain, detector))


def screen_in_context(reading: TextReading, context: Context) -> Screening:
    """The rest of it."""
    plain = reading.plain
    learnt = understand(plain, context.asked, before=context.learnt)
    alone = _explained(reading.alone, plain, context)
    found = replace(_answered(_reported(alone, learnt, context), learnt, context), learnt=learnt)
    return _protecting(_with_what_came_before(found, plain, context), context)


def screen_safely(
    text: str, *, context: Context = _NOWHERE, detector: Detector | None = None, reading: TextReading | None = None
) -> Screening:
    """Screen, whatever breaks: a failing detector leaves the rules, a failing screen counts as tier 1.

    `reading` spares reading the text again, if it is of this text.
    """
    try:
        if reading is None or reading.text != text:
            reading = read(text, detector=detector)
        return screen_in_context(reading, context)
    except Exception as error:  # noqa: BLE001 - the last line before a person in danger goes unanswered
        return Screening(
            tier=Tier.DISTRESS,
            route=Route.SELF,
            subject=Subject.SELF,
            reasons=("screening_failed",),
            failures=(type(error).__name__,),
        )


def warm() -> None:
    """Read and compile what screening needs: a quarter of a second that no first message should wait for."""
    screen(_NOTHING_SPECIAL)


def _read(plain: str, detector: Detector | None) -> Screening:
    """One text by itself."""
    findings = rulebook().find(plain)
    by_rules = _judge(findings, stated_age(plain))
    if rulebook().is_over(plain[:MAX_TOLD]):
        return _told_as_over(by_rules)
    try:
        own = rulebook().without_stories(rulebook().mask(plain))
        reading = (detector or detectors.shipped_detector()).read(own)
    except Exception as error:  # noqa: BLE001 - a broken or foreign detector must not cost anyone the rules
        return replace(by_rules, failures=(type(error).__name__,))
    found = _raised(by_rules, reading, was_about_others=bool(findings) and not by_rules.reasons)
    if joins_the_dead(plain[:MAX_TOLD]):
        found = _wishes_to_follow(found)
    return _long_ago(found) if _tells_of_years_ago(plain, findings) else found


def _wishes_to_follow(found: Screening) -> Screening:
    if found.tier >= Tier.ACTIVE:
        return found
    return replace(
        found, tier=Tier.ACTIVE, route=Route.SELF, subject=Subject.SELF, reasons=(*found.reasons, JOINING_REASON)
    )


def _tells_of_years_ago(plain: str, findings: list[Finding]) -> bool:
    """Whether what would be an emergency now happened years ago, and nothing is said of now."""
    acute = {finding.rule for finding in findings if finding.tier == Tier.ACUTE}
    return acute <= _DEEDS and rulebook().is_distant(plain[:MAX_TOLD])


def _long_ago(found: Screening) -> Screening:
    """A deed of long ago is a reason to ask how it is now, and no emergency."""
    is_own = found.tier is Tier.ACUTE and found.route is Route.SELF
    return replace(found, tier=Tier.ACTIVE) if is_own else found


def _told_as_over(found: Screening) -> Screening:
    """An attempt or a wish of some time ago is asked about, and is no danger now."""
    if not found.tier or found.route is not Route.SELF:
        return found
    if {*found.reasons} <= _MOODS:
        return replace(found, tier=Tier.NONE, route=Route.NONE, reasons=())
    return replace(found, tier=Tier.DISTRESS, is_past=True)


def _raised(found: Screening, reading: Detection, *, was_about_others: bool) -> Screening:
    """The detector raises and names a route; it never lowers. What rules saw to be others' past stays that."""
    if reading.tier <= found.tier or was_about_others:
        return found
    is_past = reading.route == "past"
    route = Route.SELF if is_past else Route(reading.route)
    return replace(
        found,
        tier=Tier.DISTRESS if is_past else Tier(reading.tier),
        route=found.route if found.tier and found.route is not Route.NONE else route,
        subject=Subject.OTHER if route is Route.THIRD_PARTY else found.subject,
        reasons=(*found.reasons, DETECTOR_REASON),
        is_past=is_past,
    )


def _explained(found: Screening, plain: str, context: Context) -> Screening:
    """What only the detector found, or what is said of the dead, goes on with the story that was begun before."""
    is_thin = set(found.reasons) == {DETECTOR_REASON} or rulebook().tells_of_the_dead(plain)
    if context.tier or not found.tier or not is_thin:
        return found
    earlier = ",".join(_latest(context.recent))
    is_continued = bool(earlier) and rulebook().goes_on(plain, earlier)
    if not is_continued and not joins_the_living(plain, earlier):
        return found
    return replace(found, tier=Tier.NONE, route=Route.NONE, subject=Subject.SELF, reasons=(), is_past=False)


def _answered(found: Screening, learnt: frozenset[Learnt], context: Context) -> Screening:
    """An answer to our own question, by what it means for somebody who was asked it."""
    if not context.asked:
        return found
    tier = _tier_of_answer(learnt, context)
    if tier <= found.tier:
        return found
    route = found.route if found.route not in {Route.NONE, Route.MINOR} else Route.SELF
    return replace(found, tier=tier, route=route, reasons=(*found.reasons, ANSWER_REASON))


def _reported(found: Screening, learnt: frozenset[Learnt], context: Context) -> Screening:
    """In the middle of danger, what tells of help or relief is no new danger, if only the detector thinks so."""
    is_thin = found.is_past or set(found.reasons) <= {DETECTOR_REASON}
    if context.tier and learnt & {*_RELIEF, Learnt.EXPLAINS} and is_thin:
        return replace(found, tier=Tier.NONE, route=Route.NONE, reasons=(), is_past=False)
    return found


def _tier_of_answer(learnt: frozenset[Learnt], context: Context) -> Tier:
    if learnt & {Learnt.TIME, Learnt.AT_HAND, Learnt.HURT}:
        return Tier.ACUTE
    if Learnt.ALONE in learnt and context.tier >= Tier.ACTIVE and is_high_place(context.recent):
        return Tier.ACUTE
    if Learnt.METHOD in learnt:
        return Tier.ACUTE if context.tier >= Tier.ACTIVE or Learnt.PLAN in context.learnt else Tier.ACTIVE
    if learnt & {Learnt.PLAN, Learnt.THOUGHT}:
        return Tier.ACTIVE
    return Tier.NONE


def _with_what_came_before(found: Screening, plain: str, context: Context) -> Screening:
    """Raise to what the last messages say together, if this one is what makes them say it.

    By rules alone: the detector learnt from single messages.
    """
    before = _latest(context.recent)
    if not before or found.is_past or len(plain) > MAX_TOGETHER or (context.tier and found.learnt & _RELIEF):
        return found
    earlier = ",".join(before)
    if rulebook().plays_on(plain, earlier):
        return found
    if rulebook().tells_of_the_dead(plain) and rulebook().goes_on(plain, earlier):
        return found
    best = _wishes_to_follow(found) if joins_the_dead(plain, earlier) else found
    if rulebook().settles(f"{earlier},{plain}") and not rulebook().settles(earlier):
        best = replace(found, tier=Tier.ACUTE, route=Route.SELF, reasons=(*found.reasons, TOGETHER_REASON))
    for earlier, together in _joined(before, plain):
        said = _judge(rulebook().find(together), None)
        if said.tier > best.tier and said.tier > _judge(rulebook().find(earlier), None).tier:
            best = replace(found, tier=said.tier, route=said.route, reasons=(*said.reasons, TOGETHER_REASON))
    return best


def _joined(before: list[str], plain: str) -> Iterator[tuple[str, str]]:
    """What was said without the last message and with it: as sentences, and as one sentence from each piece on."""
    yield ",".join(before), ",".join([*before, plain])
    if any(map(_ENDS.search, (*before, plain))):  # each message is a piece of what they tell, a question in it or not
        yield _ENDS.sub(",", ",".join(before)), _ENDS.sub(",", ",".join([*before, plain]))
    pieces = list(takewhile(lambda part: len(part) <= MAX_FRAGMENT, reversed([*before, plain])))
    for count in range(2, min(len(pieces), MAX_FRAGMENTS) + 1):
        together = pieces[count - 1 :: -1]
        yield "".join(together[:-1]), "".join(together)


def _protecting(found: Screening, context: Context) -> Screening:
    """A child that is hurt by somebody is in danger, however it was said."""
    is_minor = context.is_minor or found.is_minor
    if is_minor and SILENCED in found.reasons:
        return replace(found, route=Route.ABUSE)  # the child that must say nothing is the one who writes
    if is_minor and found.route is Route.ABUSE and found.tier is Tier.DISTRESS:
        return replace(found, tier=Tier.ACTIVE)
    return found


def _latest(recent: tuple[str, ...]) -> list[str]:
    kept: list[str] = []
    for text in reversed(recent):
        plain = normalise(text)
        if sum(map(len, kept)) + len(plain) > MAX_TOGETHER:
            break
        kept.insert(0, plain)
    return kept


def _judge(findings: list[Finding], age: int | None) -> Screening:
    live = [finding for finding in findings if finding.subject is not Subject.OTHER_PAST]
    if not live:
        under_age = age is not None and age < ADULT
        route = Route.MINOR if under_age else Route.NONE
        return Screening(tier=Tier.NONE, route=route, subject=Subject.SELF, reasons=(), age=age)
    worst = min(live, key=lambda finding: (-finding.tier, _PREFERENCE.index(_route(finding))))
    reasons = tuple(dict.fromkeys(finding.rule for finding in sorted(live, key=lambda finding: -finding.tier)))
    return Screening(tier=Tier(worst.tier), route=_route(worst), subject=worst.subject, reasons=reasons, age=age)


def _route(finding: Finding) -> Route:
    route = Route(finding.route)
    return Route.THIRD_PARTY if route is Route.SELF and finding.subject is Subject.OTHER else route
