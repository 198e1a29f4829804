"""Risk rules as data: which meanings fire, at which tier, and about whom.

Rules live in `care/lexicon/risk.toml`; this module reads, compiles and applies them. It decides nothing about replies.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from care import lexicon
from care.subject import Subject, subject_of

_SENTENCE: Final = re.compile(r"[^。!?;\n…]+")
_BLANK: Final = "□"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One meaning: a pattern, and what vetoes it within the same sentence."""

    name: str
    tier: int
    route: str
    is_always_own: bool  # the phrase names others, yet speaks of the writer: 带着孩子去死
    pattern: re.Pattern[str]
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
    """All rules and the idioms that are blanked out before them."""

    rules: tuple[Rule, ...]
    idioms: re.Pattern[str]

    def mask(self, text: str) -> str:
        """Blank out idioms, keeping every other character where it was."""
        return self.idioms.sub(lambda match: _BLANK * len(match.group()), text)

    def find(self, text: str) -> list[Finding]:
        """Apply every rule to every sentence of a normalised text."""
        sentences = [match.group() for match in _SENTENCE.finditer(self.mask(text))]
        return [finding for sentence in sentences for finding in self._find_in(sentence)]

    def _find_in(self, sentence: str) -> list[Finding]:
        return [
            Finding(rule=rule.name, tier=rule.tier, route=rule.route, subject=_subject(rule, sentence, match))
            for rule in self.rules
            for match in rule.pattern.finditer(sentence)
            if not (rule.unless and rule.unless.search(sentence))
        ]


@cache
def rulebook() -> Rulebook:
    """Read and compile the shipped rules, once per process."""
    data = lexicon.load("risk")
    words: dict[str, str] = data["words"]
    return Rulebook(
        rules=tuple(_rule(entry, words) for entry in data["rule"]),
        idioms=re.compile("|".join(f"(?:{pattern})" for pattern in data["idioms"].values())),
    )


def _subject(rule: Rule, sentence: str, match: re.Match[str]) -> Subject:
    return Subject.SELF if rule.is_always_own else subject_of(sentence, match)


def _rule(entry: dict[str, Any], words: dict[str, str]) -> Rule:
    unless = entry.get("unless")
    return Rule(
        name=entry["name"],
        tier=entry["tier"],
        route=entry["route"],
        is_always_own=entry.get("whose") == "writer",
        pattern=re.compile(lexicon.expand(entry["pattern"], words)),
        unless=re.compile(lexicon.expand(unless, words)) if unless else None,
    )
