"""How urgent a message is: known from its words alone, before anything waits for the database."""

from bot.admission import URGENT
from care.screening import Screening, screen_safely

_MAX_LENGTH = 4096
"""Characters of each end of a long text that are screened."""


def screen_both_ends(text: str, max_length: int = _MAX_LENGTH) -> Screening:
    """A text of any length is screened in bounded time: its first and its last `max_length` characters."""
    return screen_safely(f"{text[:max_length]}\n{text[-max_length:]}" if len(text) > max_length else text)


def is_urgent(text: str) -> bool:
    return screen_both_ends(text).tier >= URGENT
