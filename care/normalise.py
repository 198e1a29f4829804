"""One spelling for what people write many ways, so that rules and classifier read meaning and not disguise.

Pure and total: any string goes in, a string comes out. The result is for matching only; nobody is ever shown it.
"""

import re
import unicodedata
from functools import cache
from typing import Final

from care import lexicon
from care.prefilter import Prefiltered, prefiltered

_INVISIBLE: Final = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_HAN: Final = r"\u4e00-\u9fff"
_WEDGED: Final = re.compile(rf"(?<=[{_HAN}])[*_.·•~|/\\+=^#\-]{{1,3}}(?=[{_HAN}])")
_STRETCHED: Final = re.compile(rf"([{_HAN}])\1{{2,}}")
_DOTS: Final = re.compile(r"\.{2,}")  # what NFKC makes of …
_SPACED: Final = re.compile(rf"(?:(?<=^[{_HAN}])|(?<=\s[{_HAN}])) (?=[{_HAN}](?:\s|$))")  # 我 不 想 活
_BLANKS: Final = re.compile(r"[^\S\n]+")


def normalise(text: str) -> str:
    """Fold width, case, traditional characters, wedged-in signs and known disguises of risk words."""
    folded = unicodedata.normalize("NFKC", text).lower()
    folded = _INVISIBLE.sub("", folded).translate(_simplified())
    folded = _BLANKS.sub(" ", _STRETCHED.sub(r"\1", _WEDGED.sub("", _DOTS.sub("。", folded))))
    folded = _SPACED.sub("", folded)
    characters = frozenset(folded)
    for disguise, plain in _disguises():
        if disguise.may_be_in(characters):
            folded = disguise.pattern.sub(plain, folded)
            characters = frozenset(folded)
    return folded.translate(_mandarin()).strip()


def simplified(text: str) -> str:
    """The same characters, the traditional ones as simplified."""
    return text.translate(_simplified())


def in_mandarin(text: str) -> str:
    """As many characters: the traditional ones as simplified, signs of Cantonese as what they mean."""
    return simplified(text).translate(_mandarin())


@cache
def _simplified() -> dict[int, str]:
    characters = lexicon.load("spelling")["characters"]
    return str.maketrans(dict(zip(characters["traditional"], characters["simplified"], strict=True)))


@cache
def _mandarin() -> dict[int, str]:
    signs = lexicon.load("spelling")["cantonese"]
    return str.maketrans(dict(zip(signs["written"], signs["means"], strict=True)))


@cache
def _disguises() -> tuple[tuple[Prefiltered, str], ...]:
    listed = lexicon.load("spelling")["disguise"]
    return tuple((prefiltered(re.compile(entry["written"])), entry["means"]) for entry in listed)
