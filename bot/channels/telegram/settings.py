"""Telegram."""

from pydantic import Field, SecretStr

from dialogue.process.settings import DialogueSettings


class TelegramSettings(DialogueSettings):
    """Settings of the Telegram adapter, besides those of `dialogue`."""

    telegram_token: SecretStr | None = Field(default=None, description="Bot token from @BotFather; enables Telegram.")
    telegram_api_url: str = Field(
        default="https://api.telegram.org/bot",
        description="Base of the Bot API, e.g. of a local server: http://127.0.0.1:8081/bot",
    )
    telegram_proxy: SecretStr | None = Field(
        default=None,
        description="e.g. http://user:secret@host:3128 or socks5://127.0.0.1:1080. Default: HTTPS_PROXY and similar "
        "variables; a Bot API server on this machine is asked directly.",
    )
    telegram_refusal_seconds: float = Field(
        default=300,
        ge=0,
        description="Telegram must refuse a token that it has accepted before for this long until it is believed.",
    )
    telegram_groups: bool = Field(
        default=False, description="Answer in groups too, where the bot is mentioned or replied to."
    )
    telegram_feedback: bool = Field(default=True, description="Show 👍 and 👎 under each reply.")
    telegram_messages_per_second: float = Field(
        default=30, gt=0, description="Telegram's limit for this bot in total; 1000 with paid broadcasts."
    )
    telegram_chat_messages_per_second: float = Field(
        default=1, gt=0, description="Telegram's limit in one private chat."
    )
    telegram_webhook_url: str | None = Field(
        default=None, description="Public https URL that leads to this process. Default: long polling."
    )
    telegram_webhook_listen: str = Field(default="127.0.0.1:8443", description="Where webhook mode listens.")
    telegram_webhook_secret: SecretStr | None = Field(
        default=None, description="Secret that Telegram sends with each update. Default: derived from the token."
    )
    waiting_notice_seconds: float = Field(
        default=8,
        ge=0,
        description="After waiting this long for a worker people see their place in the queue; it is removed later. "
        "0: never.",
    )
