"""Risk rules as data: which meanings fire, at which tier, and about whom.

Rules live in `care/lexicon/risk.toml`; this module reads, compiles and applies them. It decides nothing about replies.
Every sentence is read in stretches of bounded length, so that the time is linear in the text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Final

from care import lexicon
from care.prefilter import Prefiltered, prefiltered
from care.subject import Subject, subject_of

_SENTENCE: Final = re.compile(r"[^。!?;\n…]+")
_BLANK: Final = "□"
_WORST_TIER: Final = 3
_STRETCH: Final = 200  # characters that are read together; longer sentences are read with an overlap
_OVERLAP: Final = 40
_ENOUGH: Final = 30  # findings of one rule in a text: it is not looked for any further
_LONG: Final = 40  # stretches of a text; in a longer one nothing more is looked for once nothing worse can be found
_ARRANGEMENTS: Final = 3  # things put in order, of two kinds at least; fewer are a day's work
_MAX_FINDINGS: Final = 3  # of one rule in one stretch: each may be about somebody else


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One meaning: a pattern, and what vetoes it within the same sentence."""

    name: str
    tier: int
    route: str
    is_always_own: bool  # the phrase names others, yet speaks of the writer: 带着孩子去死
    pattern: Prefiltered
    unless: re.Pattern[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that fired, and of whom it speaks. Carries no word of the text."""

    rule: str
    tier: int
    route: str
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """All rules; the idioms that are blanked out before them; what is told of a story, the news or a game."""

    rules: tuple[Rule, ...]
    idioms: re.Pattern[str]
    elsewhere: re.Pattern[str]
    own: re.Pattern[str]
    past: re.Pattern[str]
    still: re.Pattern[str]
    distant: re.Pattern[str]
    present: re.Pattern[str]
    topics: re.Pattern[str]
    games: re.Pattern[str]
    own_topic: re.Pattern[str]
    dead: re.Pattern[str]
    arrangements: tuple[re.Pattern[str], ...]
    end: re.Pattern[str]
    journey: re.Pattern[str]

    def is_over(self, text: str) -> bool:
        """Whether what a normalised text tells is said to be over."""
        return self.past.search(text) is not None and self.still.search(text) is None

    def is_distant(self, text: str) -> bool:
        """Whether a normalised text tells of years ago, and of nothing now."""
        return self.distant.search(text) is not None and self.present.search(text) is None

    def goes_on(self, text: str, before: str) -> bool:
        """Whether a text without a subject of its own goes on with somebody else's story, a move or a lesson."""
        return self.topics.search(before) is not None and self.own_topic.search(text) is None

    def plays_on(self, text: str, before: str) -> bool:
        """Whether a text without a subject of its own goes on with a game."""
        return self.games.search(before) is not None and self.own_topic.search(text) is None

    def tells_of_the_dead(self, text: str) -> bool:
        """Whether a text says that somebody died: whoever writes it is not the one."""
        return self.dead.search(text) is not None

    def settles(self, text: str) -> bool:
        """Whether a text tells of several things put in order, and then of an end."""
        if self.end.search(text) is None or self.journey.search(text):
            return False
        counts = [len(pattern.findall(text)) for pattern in self.arrangements]
        return sum(counts) >= _ARRANGEMENTS and sum(map(bool, counts)) > 1

    def mask(self, text: str) -> str:
        """Blank out idioms, keeping every other character where it was."""
        return self.idioms.sub(lambda match: _BLANK * len(match.group()), text)

    def without_stories(self, text: str) -> str:
        """Blank out the sentences that tell of a novel, the news or a game, and not of the writer."""
        return _SENTENCE.sub(
            lambda found: _BLANK * len(found.group()) if self._is_told(found.group()) else found.group(), text
        )

    def find(self, text: str) -> list[Finding]:
        """Apply every rule to every sentence of a normalised text."""
        found: list[Finding] = []
        rules = self.rules
        for number, stretch in enumerate(dict.fromkeys(_stretches(self.mask(text)))):
            new = self._find_in(stretch, rules)
            found += new
            if number >= _LONG and any(map(_is_worst, found)):
                break
            if new and len(found) > _ENOUGH:
                often = Counter(finding.rule for finding in found)
                rules = tuple(rule for rule in rules if often[rule.name] <= _ENOUGH)
        return found

    def _find_in(self, sentence: str, rules: Iterable[Rule]) -> list[Finding]:
        characters = frozenset(sentence)
        possible = [rule for rule in rules if rule.pattern.may_be_in(characters)]
        found = [finding for rule in possible for finding in _apply(rule, sentence)]
        return [] if found and self._is_told(sentence) else found

    def _is_told(self, sentence: str) -> bool:
        return self.elsewhere.search(sentence) is not None and self.own.search(sentence) is None


@cache
def rulebook() -> Rulebook:
    """Read and compile the shipped rules, once per process."""
    data = lexicon.load("risk")
    words: dict[str, str] = data["words"]
    before, arrangements = dict(data["before"]), dict(data["arrangements"])
    own_topic, dead = before.pop("own"), before.pop("dead")
    end, journey = arrangements.pop("end"), arrangements.pop("unless")
    return Rulebook(
        rules=tuple(_rule(entry, words) for entry in data["rule"]),
        idioms=re.compile("|".join(f"(?:{pattern})" for pattern in data["idioms"].values())),
        elsewhere=re.compile("|".join(data["elsewhere"].values())),
        past=re.compile(data["past"]["pattern"]),
        still=re.compile(data["past"]["still"]),
        distant=re.compile(data["past"]["distant"]),
        present=re.compile(data["past"]["present"]),
        own=re.compile(lexicon.expand(data["own"]["pattern"], words)),
        topics=re.compile("|".join(before.values())),
        games=re.compile(before["game"]),
        own_topic=re.compile(own_topic),
        dead=re.compile(dead),
        arrangements=tuple(re.compile(pattern) for pattern in arrangements.values()),
        end=re.compile(end),
        journey=re.compile(journey),
    )


def _apply(rule: Rule, sentence: str) -> list[Finding]:
    matches = list(islice(rule.pattern.pattern.finditer(sentence), _MAX_FINDINGS))
    if not matches or (rule.unless and rule.unless.search(sentence)):
        return []
    return [
        Finding(rule=rule.name, tier=rule.tier, route=rule.route, subject=_subject(rule, sentence, match))
        for match in matches
    ]


def _is_worst(finding: Finding) -> bool:
    return finding.tier == _WORST_TIER and finding.route == "self" and finding.subject is Subject.SELF


def _stretches(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.finditer(text):
        words = sentence.group()
        if len(words) <= _STRETCH:
            yield words
            continue
        for start in range(0, max(len(words) - _OVERLAP, 1), _STRETCH - _OVERLAP):
            yield words[start : start + _STRETCH]


def _subject(rule: Rule, sentence: str, match: re.Match[str]) -> Subject:
    return Subject.SELF if rule.is_always_own else subject_of(sentence, match)


def _rule(entry: dict[str, Any], words: dict[str, str]) -> Rule:
    unless = entry.get("unless")
    return Rule(
        name=entry["name"],
        tier=entry["tier"],
        route=entry["route"],
        is_always_own=entry.get("whose") == "writer",
        pattern=prefiltered(re.compile(lexicon.expand(entry["pattern"], words))),
        unless=re.compile(lexicon.expand(unless, words)) if unless else None,
    )
