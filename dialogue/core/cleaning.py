"""What becomes of a person's raw text before it is stored: nothing they meant is lost, nothing else travels."""

import unicodedata

from dialogue.errors import EmptyMessage, MessageTooLong

_KEPT_CONTROLS = "\n\t"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str, *, max_length: int) -> str:
    """The text as it can be stored by every database and read by every model.

    Line ends become ``\\n``, lone surrogates U+FFFD, other control characters go; emoji, joiners and
    direction marks stay. `max_length` counts characters. Raises `EmptyMessage`, `MessageTooLong`.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(_storable(character) for character in unified).strip()
    if not kept:
        raise EmptyMessage
    if len(kept) > max_length:
        raise MessageTooLong(length=len(kept), max_length=max_length)
    return kept


def _storable(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return _REPLACEMENT
    if category == "Cc" and character not in _KEPT_CONTROLS:
        return ""
    return character
