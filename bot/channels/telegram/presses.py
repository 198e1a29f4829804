"""Answers pressed buttons to whoever pressed them, and takes spent ones away. Best effort."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from telegram import Bot
from telegram.error import TelegramError

from bot.channels.telegram.chat import TelegramChat
from care.texts import Texts
from dialogue.errors import DialogueError
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Presses:
    """For one bot. `texts_in` are the channel's texts in a person's language."""

    def __init__(
        self,
        bot: Bot,
        *,
        texts_in: Callable[[str | None], Texts],
        latest_notice: Callable[[TelegramChat], Awaitable[int | None]],
    ) -> None:
        self._bot = bot
        self._texts_in = texts_in
        self._latest_notice = latest_notice
        self._running: set[asyncio.Task[None]] = set()

    def answer(self, callback_id: str, key: str, language: str | None) -> None:
        """A toast that only the person who pressed sees."""
        self._run(self._answer(callback_id, self._texts_in(language).say(key)))

    def retire(self, place: TelegramChat, notice_id: int | None) -> None:
        """The notice was answered; None: it is found."""
        self._run(self._retire(place, notice_id))

    async def close(self) -> None:
        await end_tasks(self._running)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, callback_id: str, words: str) -> None:
        try:
            await self._bot.answer_callback_query(callback_id, words)
        except TelegramError as error:
            log.debug("callback_not_answered", error=type(error).__name__)

    async def _retire(self, place: TelegramChat, notice_id: int | None) -> None:
        try:
            notice_id = notice_id or await self._latest_notice(place)
            if notice_id is not None:
                await self._bot.edit_message_reply_markup(place.chat_id, notice_id)
        except (TelegramError, DialogueError) as error:
            log.debug("buttons_not_removed", error=type(error).__name__)
