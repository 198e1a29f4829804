"""Settings of the web console, besides those of `dialogue`."""

from typing import Literal

from pydantic import Field, field_validator

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

    @field_validator("console_listen")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port there is
            raise ValueError("must be host:port, e.g. 127.0.0.1:8090")
        return value

    @property
    def console_host(self) -> str:
        return self.console_listen.rpartition(":")[0].strip("[]")

    @property
    def console_port(self) -> int:
        return int(self.console_listen.rpartition(":")[2])
