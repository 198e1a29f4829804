"""Reads `replies.toml`: which words show what a message is, and what is then said and asked."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "replies.toml"
_NEVER = re.compile(r"(?!)")
_SLOT = re.compile(r"\\{\w+\\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Words that show something, and words beside which they do not; `longest` is the most characters of a message."""

    found: re.Pattern[str] = _NEVER
    unless: re.Pattern[str] = _NEVER
    longest: int | None = None

    def is_in(self, text: str) -> bool:
        """Whether the message shows it."""
        if self.longest is not None and len(text) > self.longest:
            return False
        return self.found.search(text) is not None and self.unless.search(text) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class CuedSentences:
    """Sentences for messages with a cue. `asks` names the question that stands at their end, if it is one of ours."""

    name: str
    cue: Cue
    says: tuple[str, ...]
    is_whole: bool = False  # nothing is asked after it
    is_lasting: bool = False  # an earlier message counts as well
    only_about: str | None = None  # the topic that the conversation must have had
    never_about: str | None = None  # the topic that it must not have had


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topic:
    """What a conversation is about: what may be tried, and what is asked, question by question."""

    name: str
    cue: Cue
    tries: tuple[str, ...]
    asks: Mapping[str, tuple[str, ...]]
    is_weak: bool = False  # what an earlier message was about goes on
    is_only: bool = False  # nothing general is asked after it
    never_about: str | None = None  # the topic that it gives way to for the whole conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicQuestion:
    """What is asked once in a conversation, unless it was told; `after` has the words for short answers by kind."""

    name: str
    told: Cue
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyScript:
    """The file."""

    replies: tuple[CuedSentences, ...]
    reactions: tuple[CuedSentences, ...]
    topics: tuple[Topic, ...]
    questions: Mapping[str, TopicQuestion]
    answers: Mapping[str, Cue]
    phrases: Mapping[str, tuple[str, ...]]

    def asked_in(self, reply: str) -> str | None:
        """The name of the question that a reply ends with."""
        return next((name for name, asked in _endings(self.topics) if asked.search(reply)), None)

    def sentences(self) -> list[str]:
        """Everything that can be said, with its slots."""
        said = [one for group in (self.replies, self.reactions) for entry in group for one in entry.says]
        said += [one for topic in self.topics for one in (*topic.tries, *_all(topic.asks))]
        said += [one for question in self.questions.values() for one in _all(question.after)]
        return said + _all(self.phrases)


@cache
def script() -> ReplyScript:
    """As the file has it."""
    content = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return ReplyScript(
        replies=tuple(_said(entry) for entry in content["reply"]),
        reactions=tuple(_said(entry) for entry in content["reaction"]),
        topics=tuple(
            Topic(
                name=one["name"],
                cue=_cue(one),
                tries=tuple(one["tries"]),
                asks=_lists(one["asks"]),
                is_weak=one.get("weak", False),
                is_only=one.get("only", False),
                never_about=one.get("never_about"),
            )
            for one in content["topic"]
        ),
        questions={
            one["name"]: TopicQuestion(
                name=one["name"], told=Cue(found=re.compile(one.get("told", "(?!)"))), after=_lists(one["after"])
            )
            for one in content["question"]
        },
        answers={name: Cue(found=re.compile(cue)) for name, cue in content["answer"].items()},
        phrases=_lists(content["phrase"]),
    )


@cache
def _endings(topics: Sequence[Topic]) -> list[tuple[str, re.Pattern[str]]]:
    return [
        (name, re.compile(_SLOT.sub(".{1,6}", re.escape(asked)) + "$"))
        for topic in topics
        for name, variants in topic.asks.items()
        for asked in variants
    ]


def _said(entry: Mapping[str, Any]) -> CuedSentences:
    return CuedSentences(
        name=entry["name"],
        cue=_cue(entry),
        says=tuple(entry["says"]),
        is_whole=entry.get("whole", False),
        is_lasting=entry.get("lasting", False),
        only_about=entry.get("only_about"),
        never_about=entry.get("never_about"),
    )


def _cue(entry: Mapping[str, Any]) -> Cue:
    patterns = {key: re.compile(entry[name]) for key, name in (("found", "cue"), ("unless", "unless")) if name in entry}
    return Cue(**patterns, longest=entry.get("longest"))


def _lists(entry: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(says) for name, says in entry.items()}


def _all(lists: Mapping[str, Sequence[str]]) -> list[str]:
    return [one for says in lists.values() for one in says]
