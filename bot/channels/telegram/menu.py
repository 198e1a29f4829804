"""The list of commands that Telegram shows beside the text field, in both languages."""

from telegram import Bot, BotCommand

from bot.channels.telegram.manifest import MANIFEST

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


async def offer(bot: Bot, default_locale: str) -> None:
    """Set the menus; raises `TelegramError`."""
    for locale in _LOCALES:
        await bot.set_my_commands(_menu(locale), language_code=locale)
    await bot.set_my_commands(_menu(default_locale))


def _menu(locale: str) -> list[BotCommand]:
    words = MANIFEST.words(locale).texts
    return [BotCommand(name, words.say(f"menu_{name}")) for name in _COMMANDS]
