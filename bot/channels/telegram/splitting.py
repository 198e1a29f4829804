"""Splits texts into messages that Telegram accepts."""

from telegram.constants import MessageLimit

from bot.outgoing import splitting
from bot.outgoing.splitting import units

__all__ = ["LIMIT", "split", "units"]

LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
"""In UTF-16 code units, as Telegram counts."""


def split(text: str, limit: int = LIMIT) -> list[str]:
    """The messages that the text becomes; one, unless it is longer than `limit` UTF-16 code units."""
    return splitting.split(text, limit)
