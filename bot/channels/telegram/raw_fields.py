"""Reads values out of a raw update, whatever stands there: a field of another type counts as absent."""

from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]


def section(raw: Raw, name: str) -> Raw:
    """The object in that field; an empty one if there is none."""
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def sections(raw: Raw, name: str) -> list[Raw]:
    """The objects in the list in that field."""
    value = raw.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 else None


def text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def is_set(raw: Raw, name: str) -> bool:
    return raw.get(name) is True
