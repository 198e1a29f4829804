"""WeCom's customer service."""

from pydantic import Field, SecretStr

from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings


class WecomSettings(DialogueSettings):
    """Settings of the WeCom adapter, besides those of `dialogue`."""

    wecom_corp_id: str | None = Field(
        default=None, description="The organisation's id (企业ID), e.g. ww0123456789abcdef."
    )
    wecom_secret: SecretStr | None = Field(
        default=None, description="Secret of the app that may use 微信客服; with the corp id it enables WeCom."
    )
    wecom_callback_token: SecretStr | None = Field(
        default=None, description="Token of 接收消息 in WeCom's console; up to 32 letters and digits."
    )
    wecom_aes_key: SecretStr | None = Field(
        default=None, description="EncodingAESKey of 接收消息 in WeCom's console; 43 characters."
    )
    wecom_listen: str = Field(
        default="127.0.0.1:8790",
        description="Where the callback listens, under /wecom; a proxy with TLS stands before.",
    )
    wecom_api_url: str = Field(
        default="https://qyapi.weixin.qq.com/cgi-bin", description="WeCom's API, or a relay to it."
    )
    wecom_accounts: str = Field(
        default="",
        description="Customer-service accounts (open_kfid) to serve, with commas. Default: all of the app's.",
    )
    wecom_servicers: str = Field(
        default="",
        description="User ids of colleagues who may take a chat over in the WeCom app, with commas, in order. "
        "In acute danger, and for whoever asks for a human, the first of them on duty gets the chat. Default: nobody.",
    )
    wecom_pull_seconds: float = Field(
        default=300, gt=0, description="Look for messages without a notice after so long: notices can be lost."
    )
    wecom_feedback: bool = Field(default=True, description="Show 👍 and 👎 under each short reply.")


def names(written: str) -> list[str]:
    """What a setting lists with commas."""
    return [name.strip() for name in written.split(",") if name.strip()]


def given(setting: SecretStr | str | None, variable: str) -> str:
    """Raises `Misconfigured` where it is not set."""
    value = setting.get_secret_value() if isinstance(setting, SecretStr) else setting
    if not value or not value.strip():
        raise Misconfigured(f"{variable} is not set.")
    return value.strip()
