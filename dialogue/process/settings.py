"""What every process of the bot must know: where the truth, the doorbell and the key are, and the window."""

from pathlib import Path
from typing import Literal, Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dialogue.errors import Misconfigured
from dialogue.process import admins
from dialogue.process.secret_files import SecretFiles

INSTRUCTION = "假设你是友善的心理辅导师,避免透露任何AI或技术的信息。请主动引导咨询者交流并帮助他们解决心理问题。"
"""The seed's words, to the byte (ASCII comma): MindGLM was trained on them."""


class DialogueSettings(BaseSettings):
    """Read once in a composition root from ``MINDGLM_*`` variables and ``.env``, then handed on piecewise.

    Each secret may stand in a file of its own, named by ``MINDGLM_…_FILE``.
    """

    model_config = SettingsConfigDict(
        env_prefix="MINDGLM_",
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del file_secret_settings  # a directory for all of them; ours are named one by one
        variables: dict[str, str | None] = {}
        for source in (dotenv_settings, env_settings):
            if isinstance(source, EnvSettingsSource | DotEnvSettingsSource):
                variables |= source.env_vars
        return init_settings, env_settings, dotenv_settings, SecretFiles(settings_cls, variables)

    @classmethod
    def read(cls) -> Self:
        """From the environment; raises `Misconfigured`, which names what is wrong and never shows a value."""
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(f"MINDGLM_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
            raise Misconfigured(wrong) from None

    home: Path = Field(
        default_factory=lambda: user_data_path("mindglm"),
        description="Data directory of the embedded default: SQLite file, key file, Valkey socket, logs.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL, e.g. postgresql+psycopg://user:secret@host/mindglm. Default: SQLite in the home.",
    )
    database_password: SecretStr | None = Field(
        default=None, description="Put into a database URL that has none; best given as a file, see docs/deploy.md."
    )
    broker_url: SecretStr | None = Field(
        default=None,
        description="Redis URL, e.g. redis://127.0.0.1:6379/0. Default: a private Valkey on a socket in the home.",
    )
    broker_password: SecretStr | None = Field(default=None, description="Put into a broker URL that has none.")
    secret_key: SecretStr | None = Field(
        default=None,
        description="Master key, base64 of 32 bytes; wraps each person's data key. Default: a key file in the home.",
    )
    instruction: str = Field(default=INSTRUCTION, description="The model's instruction; starts the first prompt.")
    window_max_length: int = Field(default=600, ge=1, description="Characters of history that the model sees.")
    window_max_turns: int = Field(default=12, ge=1, description="Turns of history that the model sees.")
    max_message_length: int = Field(default=4000, ge=1, description="Characters of one message; longer is refused.")
    messages_per_minute: int = Field(
        default=20, ge=0, description="One person's messages that the model answers; more get a kind word. 0: no limit."
    )
    messages_per_day: int = Field(default=400, ge=0, description="The same for 24 hours. Danger passes every limit.")
    allow: str = Field(
        default="",
        description="For pilots: only these people are served, as channel:user id with commas. Default: everybody.",
    )
    lease_seconds: float = Field(
        default=20, gt=0, description="How long a worker may be silent before its turn is given to another."
    )
    max_attempts: int = Field(default=3, ge=1, description="How often a turn is tried before an apology is sent.")
    retention_days: int = Field(
        default=30, ge=1, description="Days after the end of a conversation after which its texts are deleted."
    )
    consent: Literal["required", "off"] = Field(
        default="required",
        description="Ask for consent before words are kept and answered; off is for pilots and tests only.",
    )
    guardian_consent: bool = Field(
        default=False,
        description="You have a guardian's consent for everybody under 14 who writes; else they get resources only.",
    )
    label: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Put AI生成 under the first reply of each day. auto: on, but off where MINDGLM_CONSENT is off.",
    )
    region: str = Field(default="cn", description="Whose hotlines are named: cn, hk, tw, us (care/hotlines).")
    locale: Literal["zh", "en"] = Field(default="zh", description="Language of the bot's own words.")
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_000,
        description="Where processes answer /metrics, /healthz and /readyz: the worker here, the others on the ports "
        "above it (docs/operations.md). Default: nowhere.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of that port; 0.0.0.0 inside a container.")
    admins: str = Field(
        default="",
        description=(
            "Who watches over conversations from their own chat and is alarmed, as channel:user id with commas; "
            "docs/admin.md has an example."
        ),
    )
    admin_texts: bool = Field(
        default=False,
        description="Let admins ask in their chat for what a person wrote (/admin text); each look is audited.",
    )
    traces: Literal["off", "console", "otlp"] = Field(
        default="off",
        description="One OpenTelemetry trace for each turn; otlp sends it to OTEL_EXPORTER_OTLP_ENDPOINT (extra otel).",
    )
    takeover_minutes: int = Field(
        default=20,
        ge=1,
        description=(
            "A human who took a conversation over and leaves its person without an answer for so long hands it back "
            "to the program. Looked at every ten minutes."
        ),
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    log_format: Literal["console", "json"] = Field(default="console", description="For people or for machines.")

    @field_validator("admins", "allow")
    @classmethod
    def _are_admins(cls, value: str) -> str:
        admins.parse(value)
        return value
