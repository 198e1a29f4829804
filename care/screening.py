"""Find risk in what a person writes: rules and a small classifier, before any queue, quota or model.

`screen` is pure and raises only when the shipped data is broken; `screen_safely` never raises. Nothing in a result
repeats the text: reasons are the names of rules.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from care import classifier as classifiers
from care.age import ADULT, stated_age
from care.classifier import Classifier
from care.normalise import normalise
from care.rules import Finding, rulebook
from care.subject import Subject


class Tier(IntEnum):
    """How urgent it is."""

    NONE = 0  # nothing that our rules or classifier know
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
    MINOR = "minor"  # no risk found, but the writer says to be under age


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What was found: the most urgent tier, its route, the names of what fired, and what went wrong on the way."""

    tier: Tier
    route: Route
    subject: Subject
    reasons: tuple[str, ...]
    age: int | None = None  # as stated by the writer; an estimate where only a school year is named
    failures: tuple[str, ...] = field(default=())  # names of error classes, for the log and the alert

    @property
    def is_minor(self) -> bool:
        return self.age is not None and self.age < ADULT


CLASSIFIER_REASON: Final = "classifier"
_PREFERENCE: Final = (Route.SELF, Route.HARM_TO_OTHERS, Route.ABUSE, Route.THIRD_PARTY, Route.MINOR, Route.NONE)


def screen(text: str, *, classifier: Classifier | None = None) -> Screening:
    """Screen one message; `classifier` defaults to the shipped one."""
    plain = normalise(text)
    findings = rulebook().find(plain)
    try:
        suspicious = not findings and _classify(plain, classifier or classifiers.shipped())
    except Exception as error:  # noqa: BLE001 - a broken or foreign classifier must not cost anyone the rules
        return _judge(findings, stated_age(plain), suspicious=False, failures=(type(error).__name__,))
    return _judge(findings, stated_age(plain), suspicious=suspicious, failures=())


def screen_safely(text: str, *, classifier: Classifier | None = None) -> Screening:
    """Screen, whatever breaks: a failing classifier leaves the rules, a failing screen counts as tier 1."""
    try:
        return screen(text, classifier=classifier)
    except Exception as error:  # noqa: BLE001 - the last line before a person in danger goes unanswered
        return Screening(
            tier=Tier.DISTRESS,
            route=Route.SELF,
            subject=Subject.SELF,
            reasons=("screening_failed",),
            failures=(type(error).__name__,),
        )


def _classify(plain: str, classifier: Classifier) -> bool:
    return classifier.probability(rulebook().mask(plain)) >= classifier.threshold


def _judge(findings: list[Finding], age: int | None, *, suspicious: bool, failures: tuple[str, ...]) -> Screening:
    live = [finding for finding in findings if finding.subject is not Subject.OTHER_PAST]
    if not live:
        return _without_findings(age, suspicious=suspicious, failures=failures)
    worst = min(live, key=lambda finding: (-finding.tier, _PREFERENCE.index(_route(finding))))
    reasons = tuple(dict.fromkeys(finding.rule for finding in sorted(live, key=lambda finding: -finding.tier)))
    return Screening(
        tier=Tier(worst.tier),
        route=_route(worst),
        subject=worst.subject,
        reasons=reasons,
        age=age,
        failures=failures,
    )


def _without_findings(age: int | None, *, suspicious: bool, failures: tuple[str, ...]) -> Screening:
    under_age = age is not None and age < ADULT
    return Screening(
        tier=Tier.DISTRESS if suspicious else Tier.NONE,
        route=Route.SELF if suspicious else Route.MINOR if under_age else Route.NONE,
        subject=Subject.SELF,
        reasons=(CLASSIFIER_REASON,) if suspicious else (),
        age=age,
        failures=failures,
    )


def _route(finding: Finding) -> Route:
    route = Route(finding.route)
    return Route.THIRD_PARTY if route is Route.SELF and finding.subject is Subject.OTHER else route
