"""Reads published files strictly as JSON: what different readers would read differently is no JSON here."""

import json
import zlib
from pathlib import Path
from typing import Any

from training.data.dialogue import open_text
from training.trouble import TrainingTrouble


def content_of(path: Path) -> str:
    """The text of a file, gzipped or not, without a byte order mark. Raises `TrainingTrouble`."""
    try:
        with open_text(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise TrainingTrouble(f"{path} cannot be read ({type(error).__name__}).") from error


def numbered_lines(content: str) -> list[tuple[int, str]]:
    """Lines that are not blank. Only a line feed ends one: U+2028 and its like may stand within a text."""
    return [(number, line) for number, line in enumerate(content.split("\n"), start=1) if line.strip()]


def parsed(text: str) -> Any:
    """None for what is no JSON, names a field twice, has NaN, half of a character, or is nested without end."""
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written
    except (ValueError, RecursionError):
        return None
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(name)
