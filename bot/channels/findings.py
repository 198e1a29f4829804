"""The result of a check: a severity, the key of its text, and the values to fill in."""

from dataclasses import dataclass, field
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # good to know; nothing is to be done
    WARN = "warn"  # works, but will hurt
    FAIL = "fail"  # does not work


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One result; never contains a secret or personal data."""

    grade: Grade
    key: str
    values: dict[str, object] = field(default_factory=dict)


def ok(key: str, **values: object) -> CheckResult:
    return CheckResult(grade=Grade.OK, key=key, values=values)


def note(key: str, **values: object) -> CheckResult:
    return CheckResult(grade=Grade.NOTE, key=key, values=values)


def warn(key: str, **values: object) -> CheckResult:
    return CheckResult(grade=Grade.WARN, key=key, values=values)


def fail(key: str, **values: object) -> CheckResult:
    return CheckResult(grade=Grade.FAIL, key=key, values=values)
