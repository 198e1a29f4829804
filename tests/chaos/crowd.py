"""Forty people who talk, end and begin again, and a few in danger; and what each of them saw of the bot's words."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from dialogue.core.commands import END_WORDS

IN_DANGER = "我今晚就想结束自己"
_PATIENCE_SECONDS = 120.0


class Platform(Protocol):
    """One of the chat platforms, as its people use it."""

    name: str

    def write(self, who: int, text: str) -> None:
        """Somebody writes."""

    def seen(self, who: int) -> list[str]:
        """What they see of the bot's words, in order."""

    def chat_ids(self, who: int) -> list[str]:
        """Of their chat with the bot, as the database has them."""

    def repeat_some(self, chance: random.Random) -> None:
        """The platform tells once more, out of order, what it told before."""


class Groups(Platform, Protocol):
    """A platform on which people talk in groups."""

    def found(self, who: int) -> None:
        """Somebody adds the bot to a group of theirs."""


class Role(StrEnum):
    """How somebody uses the bot."""

    TALKER = "talker"
    IN_DANGER = "in danger"


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence, or the end of a conversation."""

    text: str
    is_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A cry for help and, in seconds of the monotonic clock, its answer."""

    channel: str
    said_at: float
    answered_at: float | None


@dataclass
class Somebody:
    """A person with a script of their own."""

    who: int
    platform: Platform
    role: Role
    next_at: float
    lines: list[Line] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    said_at: float | None = None
    seen_before: int = 0

    @property
    def name(self) -> str:
        return f"{self.platform.name}{self.who}"

    @property
    def chat_ids(self) -> list[str]:
        """As the database has them; a group that moved has had two."""
        return self.platform.chat_ids(self.who)


class Crowd:
    """Everybody, driven by one thread, so that a seed gives the same people the same words."""

    def __init__(
        self,
        platforms: list[Platform],
        *,
        groups: Groups,
        seed: int,
        talkers: int,
        in_danger: int,
        in_groups: int,
        gap_seconds: float,
    ) -> None:
        self.people: list[Somebody] = []
        self._chance = random.Random(f"crowd {seed}")
        self._gap_seconds = gap_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._talk, name="crowd")
        now = time.monotonic()
        for number in range(talkers + in_danger):
            role = Role.TALKER if number < talkers else Role.IN_DANGER
            platform = platforms[number % len(platforms)]
            self.people.append(Somebody(number + 1, platform, role, now + self._chance.uniform(0, gap_seconds)))
        for who in range(len(self.people) + 1, len(self.people) + in_groups + 1):
            groups.found(who)
            self.people.append(Somebody(who, groups, Role.TALKER, now + self._chance.uniform(0, gap_seconds)))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """They fall silent; those who called for help wait for the answer."""
        self._stopping.set()
        self._thread.join()

    def say_more(self, chats: set[str]) -> bool:
        """Where a platform limits what is sent, those for whom something waits write once more; whether anybody did."""
        waiting = [
            person for person in self.people if person.role is Role.TALKER and not chats.isdisjoint(person.chat_ids)
        ]
        for person in waiting:
            line = Line(f"{person.name}的第{len(person.lines)}句")
            person.lines.append(line)
            person.platform.write(person.who, line.text)
        return bool(waiting)

    @property
    def said(self) -> int:
        return sum(len(person.lines) for person in self.people)

    def _talk(self) -> None:
        while not self._stopping.wait(0.02):
            for person in self.people:
                self._act(person)
        self._wait(lambda: all(person.said_at is None for person in self.people))

    def _wait(self, is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_true() and time.monotonic() < deadline:
            time.sleep(0.02)
            for person in self.people:
                self._listen(person)
        for person in self.people:
            if person.said_at is not None:
                person.calls.append(Call(channel=person.platform.name, said_at=person.said_at, answered_at=None))

    def _act(self, person: Somebody) -> None:
        self._listen(person)
        if person.said_at is not None or time.monotonic() < person.next_at:
            return
        person.next_at = time.monotonic() + self._chance.uniform(0.5, 1.5) * self._gap_seconds
        if person.role is Role.IN_DANGER:
            self._call_for_help(person)
        else:
            self._converse(person)

    def _call_for_help(self, person: Somebody) -> None:
        person.seen_before = len(person.platform.seen(person.who))
        person.said_at = time.monotonic()
        person.platform.write(person.who, IN_DANGER)

    def _listen(self, person: Somebody) -> None:
        if person.said_at is None or len(person.platform.seen(person.who)) <= person.seen_before:
            return
        now = time.monotonic()
        person.calls.append(Call(channel=person.platform.name, said_at=person.said_at, answered_at=now))
        person.said_at = None

    def _converse(self, person: Somebody) -> None:
        mood = self._chance.random()
        if mood < 0.05 and person.lines and not person.lines[-1].is_end:
            person.lines.append(Line(END_WORDS, is_end=True))
            person.platform.write(person.who, END_WORDS)
            return
        if mood < 0.10:
            person.platform.repeat_some(self._chance)
        for _ in range(3 if mood > 0.92 else 1):
            line = Line(f"{person.name}的第{len(person.lines)}句")
            person.lines.append(line)
            person.platform.write(person.who, line.text)
