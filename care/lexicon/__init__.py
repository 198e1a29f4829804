"""The word lists and patterns of care: TOML files in which <name> in a pattern stands for the words of that name."""

import re
import tomllib
from importlib.resources import files
from typing import Any, Final

_NAME: Final = re.compile(r"<([a-z_]+)>")


def load(name: str) -> dict[str, Any]:
    """Read `care/lexicon/<name>.toml`."""
    return tomllib.loads((files("care.lexicon") / f"{name}.toml").read_text("utf-8"))


def expand(pattern: str, words: dict[str, str]) -> str:
    """Replace each <name> by its words, as far down as names go; KeyError for a name that has none."""
    while _NAME.search(pattern):
        pattern = _NAME.sub(lambda match: f"(?:{words[match.group(1)]})", pattern)
    return pattern
