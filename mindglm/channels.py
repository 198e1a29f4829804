"""Which channels there are, what switches them on, and which of them the settings switch on."""

from bot.settings import BotSettings

SWITCHES = {
    "telegram": "MINDGLM_TELEGRAM_TOKEN",
    "wechat": "MINDGLM_WECHAT_ENDPOINT and MINDGLM_WECHAT_TOKEN",
}
"""What must be set for each."""


def configured(settings: BotSettings) -> list[str]:
    """The names of the channels whose token is set: `mindglm up` runs these."""
    is_set = {
        "telegram": settings.telegram_token is not None,
        "wechat": settings.wechat_endpoint is not None and settings.wechat_token is not None,
    }
    return [name for name, is_on in is_set.items() if is_on]
