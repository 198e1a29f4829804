"""WeChat, through a Wechaty puppet service."""

from pydantic import Field, SecretStr

from dialogue.process.settings import DialogueSettings


class WechatSettings(DialogueSettings):
    """Settings of the WeChat adapter, besides those of `dialogue`."""

    wechat_endpoint: str | None = Field(
        default=None, description="host:port of a Wechaty puppet service, e.g. of our gateway: 127.0.0.1:8788"
    )
    wechat_token: SecretStr | None = Field(
        default=None, description="The puppet service's token; with the endpoint it enables WeChat."
    )
    wechat_rooms: bool = Field(default=False, description="Answer in WeChat groups too, where the bot is mentioned.")
    wechat_accepts_friends: bool = Field(default=False, description="Accept every friend request, and say hello.")
    wechat_part_length: int = Field(
        default=500, ge=50, description="Characters of one WeChat message; longer replies come in parts."
    )
    wechat_part_pause_seconds: float = Field(
        default=1.5, ge=0, description="About how long to pause between the parts of a reply."
    )
    wechat_messages_per_minute: float = Field(
        default=30, gt=0, description="Rate limit of the WeChat account; bursts get accounts banned."
    )
    wechat_waiting_notice_seconds: float = Field(
        default=30,
        ge=0,
        description="After waiting this long for a worker people are told their place in the queue, once per reply: "
        "WeChat messages cannot be removed later. 0: never.",
    )
