"""Numbers that a person can call, by region: dated data, never code.

A number that is not in the operator's directory is never shown; the guard uses the same directory as its allow-list.
"""

import re
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

DEFAULT_REGION: Final = "cn"
STALE_AFTER: Final = timedelta(days=365)


class Kind(StrEnum):
    """What a line is for."""

    EMERGENCY = "emergency"  # sends somebody
    HELPLINE = "helpline"  # listens to anyone
    YOUTH = "youth"  # listens to the young
    ABUSE = "abuse"  # for those who are hurt by others
    SERVICE = "service"  # an office that helps with a cause of distress; named in replies, not in our scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotline:
    """One number, where it was read and when it was last checked."""

    number: str
    name: str
    name_en: str
    hours: str
    hours_en: str
    kind: Kind
    is_spoken: bool  # offered in scripts; otherwise only allowed through the guard
    source: str
    checked_on: date

    @property
    def digits(self) -> str:
        return re.sub(r"\D", "", self.number)

    def short(self, locale: str) -> str:
        """The number and whose it is."""
        return f"{self.number} ({self.name_en})" if locale == "en" else f"{self.number}（{self.name}）"

    def full(self, locale: str) -> str:
        """The number, whose it is and when it answers."""
        if locale == "en":
            return f"{self.number}  {self.name_en}, {self.hours_en}"
        return f"{self.number}  {self.name}，{self.hours}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All lines of one region."""

    region: str
    emergency_words: str
    emergency_words_en: str
    lines: tuple[Hotline, ...]

    def emergency(self, locale: str) -> str:
        """The emergency numbers as words in a sentence."""
        return self.emergency_words_en if locale == "en" else self.emergency_words

    def fillings(self, locale: str) -> dict[str, str]:
        """What {emergency}, {helplines}, {first_helpline}, {youth} and {protection} stand for in our texts."""
        helplines = self.offered(Kind.HELPLINE)
        return {
            "emergency": self.emergency(locale),
            "helplines": "\n".join(line.full(locale) for line in helplines),
            "first_helpline": helplines[0].short(locale),
            "youth": (self.offered(Kind.YOUTH) or helplines)[0].short(locale),
            "protection": (self.offered(Kind.ABUSE) or helplines)[0].short(locale),
        }

    def offered(self, kind: Kind) -> tuple[Hotline, ...]:
        """The lines of a kind that scripts name, best first."""
        return tuple(line for line in self.lines if line.kind is kind and line.is_spoken)

    def numbers(self) -> frozenset[str]:
        """Every number as digits only."""
        return frozenset(line.digits for line in self.lines)

    def stale(self, today: date) -> tuple[Hotline, ...]:
        """Lines that nobody has checked for a year."""
        return tuple(line for line in self.lines if today - line.checked_on > STALE_AFTER)


def regions() -> tuple[str, ...]:
    """The regions that ship with the project."""
    names = (entry.name for entry in files("care.hotlines").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def directory(region: str = DEFAULT_REGION) -> Directory:
    """Read `care/hotlines/<region>.toml`; KeyError for a region that does not ship."""
    if region not in regions():
        raise KeyError(region)
    return parse((files("care.hotlines") / f"{region}.toml").read_text("utf-8"))


def parse(document: str) -> Directory:
    """Read a directory from TOML, for an operator's own file too."""
    data = tomllib.loads(document)
    return Directory(
        region=data["region"],
        emergency_words=data["emergency_words"],
        emergency_words_en=data["emergency_words_en"],
        lines=tuple(
            Hotline(
                number=entry["number"],
                name=entry["name"],
                name_en=entry["name_en"],
                hours=entry["hours"],
                hours_en=entry.get("hours_en", "24 hours"),
                kind=Kind(entry["kind"]),
                is_spoken=entry.get("spoken", True),
                source=entry["source"],
                checked_on=entry["checked_on"],
            )
            for entry in data["line"]
        ),
    )
