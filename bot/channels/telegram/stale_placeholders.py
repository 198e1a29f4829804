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
from dialogue.core.placeholders import Stray
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
        stray = await self._records.stray_of(turn_id)
        if stray is not None:
            await self._delete(stray)

    async def take_down_all(self) -> None:
        """Delete those of dead adapters; what fails now is left to the next adapter."""
        try:
            for stray in await self._records.strays(utc_now() - MAY_BE_DELETED):
                await self._delete(stray)
        except (TelegramError, DatabaseUnavailable) as error:
            log.warning("placeholders_left_over", error=type(error).__name__)

    async def _delete(self, stray: Stray) -> None:
        try:
            await self._bot.delete_message(TelegramChat.at(stray.address).chat_id, int(stray.platform_message_id))
        except (BadRequest, Forbidden) as error:  # it is gone, or out of reach for good
            log.debug("placeholder_not_deleted", delivery_id=str(stray.id), error=type(error).__name__)
        await self._records.taken_down(stray.id)
