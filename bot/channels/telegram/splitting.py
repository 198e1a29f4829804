"""What fits into one message of Telegram's."""

from telegram.constants import MessageLimit

from bot import splitting

LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
"""In UTF-16 code units, as Telegram counts."""


def split(text: str, limit: int = LIMIT) -> list[str]:
    """The messages that the text becomes."""
    return splitting.split(text, limit)
