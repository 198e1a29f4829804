"""Which channels there are, and which of them the settings switch on."""

from bot.settings import BotSettings


def configured(settings: BotSettings) -> list[str]:
    """The names of the channels whose token is set: `mindglm up` runs these."""
    is_set = {
        "telegram": settings.telegram_token is not None,
        "wechat": settings.wechat_endpoint is not None and settings.wechat_token is not None,
    }
    return [name for name, is_on in is_set.items() if is_on]
