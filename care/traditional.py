"""Our own words in traditional characters, with the words of Taiwan, for people who write those.

The conversion is OpenCC's; `care/lexicon/traditional.toml` mends what it gets wrong in our texts, seen by reading them.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from care import lexicon

if TYPE_CHECKING:
    from opencc import OpenCC


def to_traditional(text: str) -> str:
    """The same sentences in traditional characters; what is no Chinese, and {names}, stay as they are."""
    corrections = _corrections()
    return _wrong().sub(lambda found: corrections[found.group()], _converter().convert(text))


@cache
def _converter() -> "OpenCC":
    from opencc import OpenCC  # costs memory, and most deployments never meet a traditional character

    return OpenCC("s2twp")


@cache
def _corrections() -> dict[str, str]:
    corrections: dict[str, str] = lexicon.load("traditional")["corrections"]
    return corrections


@cache
def _wrong() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(_corrections(), key=len, reverse=True))))
