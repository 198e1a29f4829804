"""Deletes placeholders that no reply will replace, because the conversation ended first.

If the adapter was killed, the next one finds its placeholders in the database.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from telegram import Bot
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.records import Records
from dialogue.core.placeholders import StalePlaceholder
from dialogue.errors import DatabaseUnavailable
from dialogue.storage.clock import utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAY_BE_DELETED = timedelta(hours=48)
"""Older messages Telegram lets no bot delete: https://core.telegram.org/bots/api#deletemessage"""


class StalePlaceholders:
    """Of one bot."""

    def __init__(self, bot: Bot, records: Records) -> None:
        self._bot = bot
        self._records = records

    async def take_down(self, turn_id: UUID) -> None:
        """That of a turn for which nothing will come any more."""
        placeholder = await self._records.stale_of(turn_id)
        if placeholder is not None:
            await self._delete(placeholder)

    async def take_down_all(self) -> None:
        """Delete those of dead adapters; what fails now is left to the next adapter."""
        try:
            for placeholder in await self._records.stale(utc_now() - MAY_BE_DELETED):
                await self._delete(placeholder)
        except (TelegramError, DatabaseUnavailable) as error:
            log.warning("placeholders_left_over", error=type(error).__name__)

    async def _delete(self, placeholder: StalePlaceholder) -> None:
        try:
            await self._bot.delete_message(
                TelegramChat.at(placeholder.address).chat_id, int(placeholder.platform_message_id)
            )
        except (BadRequest, Forbidden) as error:  # it is gone, or out of reach for good
            log.debug("placeholder_not_deleted", delivery_id=str(placeholder.id), error=type(error).__name__)
        await self._records.taken_down(placeholder.id)
