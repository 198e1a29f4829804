"""Output: tables for people in the operator's time zone, JSON in UTC for machines."""

import json
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mindglm import language

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


_ZONE: ContextVar[ZoneInfo | None] = ContextVar("zone", default=None)


def tell_times_in(zone: ZoneInfo) -> None:
    """For the rest of this command; otherwise times are the shell's."""
    _ZONE.set(zone)


def as_json(value: Any) -> None:
    """Dataclasses as objects, times as ISO 8601, ids as text."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False, indent=2, default=_named) + "\n")


def fields(value: "DataclassInstance") -> dict[str, Any]:
    """A dataclass as an object that may be joined with others."""
    return asdict(value)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Cells are not parsed as markup, so that people's input cannot colour the terminal."""
    shown = Table(title=language.say(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(language.say(column), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell(value)) for value in row))
    Console(highlight=False).print(shown)


def line(text: str) -> None:
    """One line for people."""
    Console(highlight=False).print(language.say(text), markup=False)


def verbatim(text: str) -> None:
    """What a person wrote; never looked up as a sentence of ours."""
    Console(highlight=False).print(cell(text), markup=False)


def cell(value: object) -> str:
    """A value for display; control characters are shown, not interpreted."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value.astimezone(_ZONE.get()):%Y-%m-%d %H:%M:%S %Z}"
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in str(value))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _named(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
