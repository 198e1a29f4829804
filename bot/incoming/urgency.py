"""How urgent a message is: known from its words alone, before anything waits for the database."""

from collections.abc import Iterator

from bot.admission import URGENT
from care.screening import Screening, TextReading, read, screen_safely
from dialogue.messages import InboundMessage

_PIECE = 4096
"""Characters of a long text that are screened at a time."""
_OVERLAP = 200
"""Characters: a sentence that stands on the border of two pieces is whole in one of them."""
_MAX_PIECES = 12
"""More than Telegram's longest formatted message (32,768 characters); of what is longer both ends are screened."""


def read_once(message: InboundMessage) -> TextReading | None:
    """The message's own words, read to be screened now and in their context; None where they are not all there is."""
    if message.beside or message.forwarded or len(message.text) > _PIECE:
        return None
    try:
        return read(message.text)
    except Exception:  # noqa: BLE001 - whoever screens for good finds out why
        return None


def priority_of(message: InboundMessage, reading: TextReading | None) -> int:
    """The tier of the danger in a message's words."""
    if reading is not None:
        return screen_safely(message.text, reading=reading).tier
    return screen_at_length(f"{message.text}\n{message.beside}\n{message.forwarded}").tier


def screen_at_length(text: str) -> Screening:
    """Screen a text of any length in bounded time, piece by piece: the worst of what is found."""
    return max((screen_safely(piece) for piece in _pieces(text)), key=lambda found: found.tier)


def _pieces(text: str) -> Iterator[str]:
    if len(text) <= _PIECE:
        yield text
        return
    starts = range(0, len(text) - _OVERLAP, _PIECE - _OVERLAP)
    half = _MAX_PIECES // 2
    for start in starts if len(starts) <= _MAX_PIECES else (*starts[:half], *starts[-half:]):
        yield text[start : start + _PIECE]


def is_urgent(text: str) -> bool:
    return screen_at_length(text).tier >= URGENT
