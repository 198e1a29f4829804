"""The Official Account."""

from enum import StrEnum

from pydantic import Field, SecretStr

from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings


class Replying(StrEnum):
    """How replies reach people; the values are what operators write."""

    CUSTOM = "custom"  # customer-service messages: verified accounts only
    PASSIVE = "passive"  # in the answer to a push, within five seconds; else when the person writes again


class OaSettings(DialogueSettings):
    """Settings of the Official Account's adapter, besides those of `dialogue`."""

    oa_app_id: str | None = Field(
        default=None,
        description="AppID of the Official Account, e.g. wx0123456789abcdef; with the secret it enables it.",
    )
    oa_secret: SecretStr | None = Field(default=None, description="AppSecret of the Official Account.")
    oa_callback_token: SecretStr | None = Field(
        default=None, description="Token of 服务器配置 of the Official Account; 3 to 32 letters and digits."
    )
    oa_aes_key: SecretStr | None = Field(
        default=None, description="EncodingAESKey of 服务器配置 of the Official Account; 43 characters."
    )
    oa_listen: str = Field(
        default="127.0.0.1:8791",
        description="Where the Official Account's callback listens, under /oa; a proxy with TLS stands before.",
    )
    oa_api_url: str = Field(
        default="https://api.weixin.qq.com",
        description="The API of Official Accounts, or a relay to it, without /cgi-bin.",
    )
    oa_mode: Replying = Field(
        default=Replying.CUSTOM,
        description="`custom`: reply by customer-service messages, which needs a verified account. `passive`: only in "
        "the answer to a push, within five seconds; what is late is said when the person writes again.",
    )


def given(setting: SecretStr | str | None, variable: str) -> str:
    """Raises `Misconfigured` where it is not set."""
    value = setting.get_secret_value() if isinstance(setting, SecretStr) else setting
    if not value or not value.strip():
        raise Misconfigured(f"{variable} is not set.")
    return value.strip()
