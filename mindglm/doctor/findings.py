"""What an examination brings: a grade, a key under which the words stand in both languages, and what fills them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bot.settings import BotSettings
from worker.settings import WorkerSettings


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # good to know; nothing is to be done
    WARN = "warn"  # works, but will hurt
    FAIL = "fail"  # does not work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; never holds a secret or anything of a person."""

    grade: Grade
    key: str
    values: dict[str, object] = field(default_factory=dict)


def ok(key: str, **values: object) -> Finding:
    return Finding(grade=Grade.OK, key=key, values=values)


def note(key: str, **values: object) -> Finding:
    return Finding(grade=Grade.NOTE, key=key, values=values)


def warn(key: str, **values: object) -> Finding:
    return Finding(grade=Grade.WARN, key=key, values=values)


def fail(key: str, **values: object) -> Finding:
    return Finding(grade=Grade.FAIL, key=key, values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The settings of this place, as the bot and as a worker read them."""

    bot: BotSettings
    worker: WorkerSettings


class Examination(NamedTuple):
    """One check; what it raises, or that it takes too long, is a finding too."""

    name: str
    examine: Callable[[Patient], Iterator[Finding]]
