"""Settings of the web console, besides those of `dialogue`."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from dialogue.process.settings import DialogueSettings


class ConsoleSettings(DialogueSettings):
    """The console's settings; see ``.env.example`` for all of them."""

    console_listen: str = Field(
        default="127.0.0.1:8090", description="host:port of the web console. Leave it on loopback behind a TLS proxy."
    )
    console_proxies: str = Field(
        default="127.0.0.1",
        description="Addresses of the TLS proxy whose X-Forwarded-For is trusted, separated by commas.",
    )
    console_second_factor: Literal["required", "offered"] = Field(
        default="required",
        description="A second factor (authenticator app or passkey) for whoever may read words; offered is for pilots "
        "and tests only.",
    )
    console_session_hours: float = Field(
        default=12, gt=0, description="Longest session; then everybody has to sign in again."
    )
    console_idle_minutes: float = Field(default=30, gt=0, description="Idle timeout of a session.")
    oidc_issuer: str | None = Field(
        default=None,
        description="Single sign-on (OpenID Connect) for the console: the provider's issuer, e.g. "
        "https://login.example.org/realms/centre. Register MINDGLM_CONSOLE_URL with /sign-in/oidc/callback there.",
    )
    oidc_client_id: str = Field(default="", description="The console's client id at that provider.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Its client secret; none for a public client, which PKCE protects."
    )
    oidc_label: str = Field(default="", description="What the sign-in button calls it, e.g. the university's name.")
    oidc_scopes: str = Field(default="openid email", description="What is asked for there.")
    oidc_second_factor: Literal["ours", "provider"] = Field(
        default="ours",
        description="Whose second factor counts after single sign-on: the console's, or also the provider's when its "
        "ID token tells of two factors (MINDGLM_OIDC_ACR, or amr) in this sitting.",
    )
    oidc_acr: str = Field(
        default="",
        description="With MINDGLM_OIDC_SECOND_FACTOR=provider: the acr values that mean two factors, separated by "
        "spaces. Without any, amr decides.",
    )

    @field_validator("console_listen")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port there is
            raise ValueError("must be host:port, e.g. 127.0.0.1:8090")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, value: str | None) -> str | None:
        if not value:
            return None
        address = urlsplit(value)
        is_safe = address.scheme == "https" or address.hostname in {"localhost", "127.0.0.1", "::1"}
        if not address.hostname or not is_safe or address.query or address.fragment:
            raise ValueError("must be the provider's https address, e.g. https://login.example.org/realms/centre")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _asks_for_an_identity(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must contain openid")
        return value

    @model_validator(mode="after")
    def _has_a_client(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("MINDGLM_OIDC_ISSUER needs MINDGLM_OIDC_CLIENT_ID")
        return self

    @property
    def console_host(self) -> str:
        return self.console_listen.rpartition(":")[0].strip("[]")

    @property
    def console_port(self) -> int:
        return int(self.console_listen.rpartition(":")[2])
