"""What we say ourselves when somebody is in danger: reviewed words, picked by rule, never generated.

Picking is pure: the same situation and the same list of what was already said give the same script. Nothing is said
twice before every wording of its step was used, and there is always a next script at tier 3: we never fall silent.
"""

import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from care.answers import Asks, Learnt
from care.hotlines import Directory
from care.screening import Route, Tier
from care.traditional import to_traditional


class Says(StrEnum):
    """Where a script stands beside the model's reply."""

    INSTEAD = "instead"  # the model is not asked
    BEFORE = "before"  # sent at once, the model's guarded reply follows
    AFTER = "after"  # sent after the model's reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Words to send. `key` goes into the conversation's list of what was said."""

    key: str
    says: Says
    text: str
    asks: tuple[Asks, ...] = ()  # what a short answer to it may mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a route and tier, with its wordings."""

    route: Route
    tier: Tier
    name: str
    says: Says
    variants: tuple[str, ...]
    asks: tuple[Asks, ...] = ()

    def keys(self) -> tuple[str, ...]:
        return tuple(f"{self.route}.{self.tier}.{self.name}.{index}" for index in range(len(self.variants)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A language and a region's numbers: what a script needs to become words."""

    locale: str
    directory: Directory
    is_traditional: bool = False  # the characters of what is said in Chinese


STAY: Final = "stay"
RETURN: Final = "return"
EASING: Final = "easing"
IN_PROGRESS: Final = "in_progress"
DENIED: Final = "denied"  # they say that we misunderstood: asked once, plainly
EASED: Final = "eased"  # and it is over
RECOVERED: Final = "recovered"
ACCOMPANIED: Final = "accompanied"
CALLED: Final = "help_called"
HANDED_OVER: Final = "means_away"
REFUSES: Final = "refuses_numbers"
FEW_WORDS: Final = "few_words"
PAST: Final = "past"
CONTACT: Final = "contact"  # the emergency contact, offered once
EXIT: Final = "exit"  # they end the conversation in the middle of danger
LEAVING: Final = "leaving"  # they say goodbye in words of their own
WAITING: Final = "waiting"  # help was called, and is not there yet
_ON_REQUEST: Final = frozenset(
    {
        STAY,
        RETURN,
        EASING,
        IN_PROGRESS,
        DENIED,
        EASED,
        RECOVERED,
        ACCOMPANIED,
        CALLED,
        HANDED_OVER,
        REFUSES,
        FEW_WORDS,
        PAST,
        CONTACT,
        EXIT,
        LEAVING,
        WAITING,
    }
)
# steps that ask for what was done already
_SETTLED_BY: Final = {
    "opening": frozenset({Learnt.CALLED}),
    "distance": frozenset({Learnt.HANDED_OVER, Learnt.CALLED}),
    "someone": frozenset({Learnt.COMPANY, Learnt.CALLED}),
    "numbers": frozenset({Learnt.REFUSES, Learnt.CALLED}),
    "intensity": frozenset({Learnt.CALLED}),
    "next_hour": frozenset({Learnt.CALLED}),
}


def respond(
    *,
    tier: Tier,
    route: Route,
    said: Sequence[str],
    voice: Voice,
    urgent: bool = False,
    learnt: Collection[Learnt] = (),
) -> Script | None:
    """The next script; None where this route and tier have nothing (more) to say.

    `said`: keys already sent to this person, oldest first. `urgent`: something is being done right now. `learnt`: what
    they told in this course; a step that asks for what was done already is left out.
    """
    steps = [step for step in _steps(voice.locale) if step.route is route and step.tier is tier]
    if urgent and (script := _unsaid(_named(steps, IN_PROGRESS), said, voice)):
        return script
    in_order = [step for step in steps if step.name not in _ON_REQUEST]
    open_steps = [step for step in in_order if not _SETTLED_BY.get(step.name, frozenset()) & set(learnt)]
    for step in open_steps:
        if not set(step.keys()) & set(said):
            return _wording(step, said, voice)
    at_last = (_named(steps, WAITING) if Learnt.CALLED in learnt else []) or _named(steps, STAY)
    return _least_recent(at_last or open_steps or in_order, said, voice)


def on_return(*, tier: Tier, said: Sequence[str], voice: Voice) -> Script | None:
    """What greets somebody who was in danger and comes back after a silence: the question again, asked openly."""
    return _special(RETURN, tier, said, voice)


def on_easing(*, tier: Tier, said: Sequence[str], voice: Voice) -> Script | None:
    """What is said when the tier goes down, so that the change of manner is no riddle."""
    return _special(EASING, tier, said, voice)


def named(name: str, *, tier: Tier, said: Sequence[str], voice: Voice) -> Script | None:
    """A step of the person's own route that is said because of what they told; the one of tier 2 serves tier 3 as well.

    At tier 3 it stands instead of the model's reply.
    """
    script = _special(name, tier, said, voice) or _special(name, Tier.ACTIVE, said, voice)
    if script is not None and tier is Tier.ACUTE:
        return replace(script, says=Says.INSTEAD)
    return script


def is_contact(script: Script) -> bool:
    """Whether it offers to name an emergency contact."""
    return f".{CONTACT}." in script.key


def is_stay(script: Script) -> bool:
    """Whether the steps are through, and this one only says that we are there."""
    return f".{STAY}." in script.key


def for_minor(*, tier: Tier, said: Sequence[str], voice: Voice) -> Script | None:
    """What is added for somebody under age, once a conversation for each tier."""
    steps = [step for step in _steps(voice.locale) if step.route is Route.MINOR and step.tier is min(tier, Tier.ACTIVE)]
    return _unsaid(steps, said, voice)


@cache
def _steps(locale: str) -> tuple[Step, ...]:
    data = tomllib.loads((files("care.scripts") / f"{locale}.toml").read_text("utf-8"))
    return tuple(
        Step(
            route=Route(entry["route"]),
            tier=Tier(entry["tier"]),
            name=entry["step"],
            says=Says(entry["says"]),
            variants=tuple(entry["variants"]),
            asks=tuple(Asks(question) for question in entry.get("asks", ())),
        )
        for entry in data["script"]
    )


def _named(steps: Iterable[Step], name: str) -> list[Step]:
    return [step for step in steps if step.name == name]


def _special(name: str, tier: Tier, said: Sequence[str], voice: Voice) -> Script | None:
    steps = [step for step in _steps(voice.locale) if step.route is Route.SELF and step.tier is tier]
    return _least_recent(_named(steps, name), said, voice)


def _unsaid(steps: Iterable[Step], said: Sequence[str], voice: Voice) -> Script | None:
    for step in steps:
        if not set(step.keys()) <= set(said):
            return _wording(step, said, voice)
    return None


def _least_recent(steps: Iterable[Step], said: Sequence[str], voice: Voice) -> Script | None:
    for step in steps:
        return _wording(step, said, voice)
    return None


def _wording(step: Step, said: Sequence[str], voice: Voice) -> Script:
    """The wording that was used longest ago, or never; among those never used, it varies with what was said."""
    keys = step.keys()
    unused = [index for index, key in enumerate(keys) if key not in said]
    last_used = {key: position for position, key in enumerate(said)}
    index = unused[len(said) % len(unused)] if unused else min(range(len(keys)), key=lambda i: last_used[keys[i]])
    text = step.variants[index].format(**voice.directory.fillings(voice.locale))
    if voice.is_traditional and voice.locale == "zh":
        text = to_traditional(text)
    return Script(key=keys[index], says=step.says, text=text, asks=step.asks)
