"""Which channels there are, and which of them the settings switch on."""

from bot.settings import BotSettings


def configured(settings: BotSettings) -> list[str]:
    """The names of the channels whose token is set: `mindglm up` runs these."""
    return ["telegram"] if settings.telegram_token is not None else []
