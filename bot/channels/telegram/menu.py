"""The list of commands that Telegram shows beside the text field, in the language and script of whoever sees it.

Telegram knows the language of a person's app, without its script. Whoever writes otherwise gets a list of their own.
"""

import asyncio
from collections import OrderedDict

import structlog
from telegram import Bot, BotCommand, BotCommandScopeChat
from telegram.error import TelegramError

from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.manifest import MANIFEST
from care.languages import ENGLISH, SIMPLIFIED, locale_of, localized
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_COMMANDS = (
    "start",
    "help",
    "reset",
    "privacy",
    "export",
    "delete",
    "contact",
    "complain",
    "share",
    "withdraw",
)
_LOCALES = ("zh", "en")
_MAX_REMEMBERED = 10_000


class Menus:
    """For one bot. Best effort: the commands are obeyed in every language, whatever is shown."""

    def __init__(self, bot: Bot, *, default_locale: str) -> None:
        self._bot = bot
        self._default_locale = default_locale
        self._shown: OrderedDict[int, str] = OrderedDict()  # by chat, what it got of its own
        self._running: set[asyncio.Task[None]] = set()

    async def offer(self) -> None:
        """The lists by the language of the app; raises `TelegramError`."""
        for locale in _LOCALES:
            await self._bot.set_my_commands(_menu(locale, None), language_code=locale)
        await self._bot.set_my_commands(_menu(self._default_locale, None))

    def show(self, place: TelegramChat, *, told: str | None, language: str | None) -> None:
        """Somebody is spoken to in `language`, and their app is set to `told`; both are BCP 47 tags."""
        if not place.is_private or language is None:
            return
        if self._shown.get(place.chat_id, _by_app(told, self._default_locale)) == language:
            return
        self._shown[place.chat_id] = language
        if len(self._shown) > _MAX_REMEMBERED:
            self._shown.popitem(last=False)
        task = asyncio.create_task(self._show(place.chat_id, language))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        await end_tasks(self._running)

    async def _show(self, chat_id: int, language: str) -> None:
        menu = _menu(locale_of(language, self._default_locale), language)
        try:
            await self._bot.set_my_commands(menu, scope=BotCommandScopeChat(chat_id))
        except TelegramError as error:
            log.debug("menu_not_offered", error=type(error).__name__)


def _by_app(told: str | None, default_locale: str) -> str:
    """The language of the list that Telegram shows to that app."""
    locale = next((one for one in _LOCALES if (told or "").lower().startswith(one)), default_locale)
    return ENGLISH if locale == "en" else SIMPLIFIED


def _menu(locale: str, language: str | None) -> list[BotCommand]:
    words = localized(MANIFEST.words(locale).texts, language)
    return [BotCommand(name, words.say(f"menu_{name}")) for name in _COMMANDS]
