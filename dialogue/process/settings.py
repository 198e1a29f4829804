"""Settings of every process: database, broker, keys, limits, and the model's context window."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
from dialogue.process.duty_hours import DutyHours
from dialogue.process.secret_files import SecretFiles

INSTRUCTION = "假设你是友善的心理辅导师,避免透露任何AI或技术的信息。请主动引导咨询者交流并帮助他们解决心理问题。"
"""Byte for byte the instruction that MindGLM was trained with (ASCII comma)."""


class DialogueSettings(BaseSettings):
    """Read once in a composition root from ``MINDGLM_*`` variables and ``.env``, then passed on piece by piece.

    Each secret may be read from a file named by ``MINDGLM_…_FILE``.
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
        del file_secret_settings  # pydantic wants one directory for all secrets; our files are named one by one
        variables: dict[str, str | None] = {}
        for source in (dotenv_settings, env_settings):
            if isinstance(source, EnvSettingsSource | DotEnvSettingsSource):
                variables |= source.env_vars
        return init_settings, env_settings, dotenv_settings, SecretFiles(settings_cls, variables)

    @classmethod
    def read(cls) -> Self:
        """Read the environment. Raises `Misconfigured`, which names the faulty setting and never shows a value."""
        try:
            return cls()
        except ValidationError as error:
            raise Misconfigured("; ".join(_told(item["loc"], item["msg"]) for item in error.errors())) from None

    home: Path = Field(
        default_factory=lambda: user_data_path("mindglm"),
        description="Data directory of the embedded default: SQLite file, key file, Valkey socket, logs.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL, e.g. postgresql+psycopg://user:secret@host/mindglm. Default: SQLite in the home.",
    )
    database_password: SecretStr | None = Field(
        default=None,
        description="Password for a database URL that has none; better given as a file, see docs/deploy.md.",
    )
    broker_url: SecretStr | None = Field(
        default=None,
        description="Redis URL, e.g. redis://127.0.0.1:6379/0. Default: a private Valkey on a socket in the home.",
    )
    broker_password: SecretStr | None = Field(default=None, description="Password for a broker URL that has none.")
    secret_key: SecretStr | None = Field(
        default=None,
        description="Master key, base64 of 32 bytes; wraps each person's data key. Default: a key file in the home.",
    )
    instruction: str = Field(
        default=INSTRUCTION,
        description="The model's instruction. Default: this one for MindGLM and models trained on its prompt; other "
        "models get one that does not deny being a program (docs/model.md).",
    )
    window_max_length: int = Field(default=600, ge=1, description="Longest history the model sees (characters).")
    window_max_turns: int = Field(default=12, ge=1, description="Longest history the model sees (turns).")
    max_message_length: int = Field(
        default=4096, ge=1, description="Longest message (characters); a longer one is rejected."
    )
    messages_per_minute: int = Field(
        default=20,
        ge=0,
        description="Messages per person that the model answers; beyond that a fixed text asks to wait. 0: no limit.",
    )
    messages_per_day: int = Field(
        default=400, ge=0, description="The same for 24 hours. Messages that show danger are always answered."
    )
    allow: str = Field(
        default="",
        description="For pilots: serve only these people, as channel:user id separated by commas. Default: everybody.",
    )
    lease_seconds: float = Field(
        default=20, gt=0, description="A worker that is silent for this long loses its turn to another."
    )
    max_attempts: int = Field(default=3, ge=1, description="Attempts at a turn before an apology is sent.")
    media_max_mb: int = Field(
        default=20,
        ge=0,
        le=50,
        description=(
            "Largest picture, voice message or file (MB) that is fetched for a human who holds the conversation in the"
            " console or on another platform. 0: none is."
        ),
    )
    retention_days: int = Field(
        default=30, ge=1, description="Texts are deleted this many days after their conversation ended."
    )
    backup_directory: Path | None = Field(
        default=None, description="Directory of the backups, with their keys. Default: backups in the home."
    )
    backup_keep: int = Field(
        default=7, ge=0, description="`mindglm up` makes a backup a day and keeps this many; 0: none."
    )
    copies_days: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Days until copies made outside of mindglm (pg_dump, WAL archive, backups elsewhere) no longer hold "
            "the key of somebody who deleted their data; they are told. Default: 0 with SQLite, 7 with PostgreSQL."
        ),
    )
    consent: Literal["required", "off"] = Field(
        default="required",
        description="Ask for consent before storing and answering messages; off is for pilots and tests only.",
    )
    guardian_consent: bool = Field(
        default=False,
        description="You have a guardian's consent for every user under 14; without it they get resources only.",
    )
    label: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Put AI生成 under the first reply of each day. auto: on, unless MINDGLM_CONSENT is off.",
    )
    region: str = Field(default="cn", description="Region of the hotlines given: cn, hk, tw, us (care/hotlines).")
    locale: Literal["zh", "en"] = Field(default="zh", description="Language of the bot's own texts.")
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_000,
        description="Port for /metrics, /healthz and /readyz: the worker uses this one, the others the ports "
        "above it (docs/operations.md). Default: nowhere.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address of that port; 0.0.0.0 inside a container.")
    admins: str = Field(
        default="",
        description=(
            "Admins, who receive alerts and use /admin in their own chat, as channel:user id separated by commas; "
            "docs/admin.md has an example."
        ),
    )
    admin_texts: bool = Field(
        default=False,
        description="Let admins read in their chat what a person wrote (/admin text); every read is audited.",
    )
    traces: Literal["off", "console", "otlp"] = Field(
        default="off",
        description="One OpenTelemetry trace for each turn; otlp sends it to OTEL_EXPORTER_OTLP_ENDPOINT (extra otel).",
    )
    takeover_minutes: int = Field(
        default=20,
        ge=1,
        description=(
            "A conversation that a human took over goes back to the bot after this long without an answer. "
            "Checked every ten minutes."
        ),
    )
    case_minutes: int = Field(
        default=5,
        ge=1,
        description="Minutes without anybody of the staff who attends to a person in danger, after which the overview "
        "turns red and the next on MINDGLM_ESCALATION is called.",
    )
    escalation: SecretStr | None = Field(
        default=None,
        description="Who is called, one after another, until somebody takes the case: console:name, channel:user id, "
        "mailto:address or an https URL, separated by commas (docs/admin.md). Default: the admins in their chats.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Server for the e-mails of MINDGLM_ESCALATION: smtps://user:password@host:465, or smtp:// with "
        "STARTTLS.",
    )
    mail_from: str | None = Field(default=None, description="Sender of those e-mails.")
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signs the webhooks of MINDGLM_ESCALATION as the Standard Webhooks specification says: whsec_…",
    )
    console_time_zone: str = Field(
        default="Asia/Shanghai",
        description="Time zone of the times that staff are told; in the console they may choose another.",
    )
    console_url: str | None = Field(
        default=None,
        description="Public https URL of the TLS proxy in front of the console, e.g. https://console.example.org. "
        "Cookies are then sent over https only, the proxy's X-Forwarded-For is trusted, and alerts have a link.",
    )
    duty_hours: str = Field(
        default="",
        description=(
            "When somebody of the staff is on duty, told to people who ask for a human: 09:00-21:00, or Mon-Fri "
            "09:00-21:00, Sat 10:00-16:00. Default: whenever a member of staff was active in the last half hour."
        ),
    )
    second_reader: str | None = Field(
        default=None,
        description="OpenAI-compatible server of your own, e.g. http://127.0.0.1:8000/v1, that reads what seemed calm "
        "and may raise the danger, never lower it (docs/care.md). It gets the person's last words. Default: none.",
    )
    second_reader_model: str = Field(default="default", description="The model's name there.")
    second_reader_api_key: SecretStr | None = Field(default=None, description="API key of that server.")
    second_reader_seconds: float = Field(
        default=20, gt=0, description="Longest wait for its answer; no message waits for it."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    log_format: Literal["console", "json"] = Field(
        default="console", description="Log format: for people or for machines."
    )

    @field_validator("admins", "allow")
    @classmethod
    def _are_admins(cls, value: str) -> str:
        admins.parse(value)
        return value

    @field_validator("console_url")
    @classmethod
    def _is_https(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be an https URL without a path, e.g. https://console.example.org")
        return value.rstrip("/")

    @field_validator("console_time_zone")
    @classmethod
    def _is_a_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("must be the name of a time zone, e.g. Asia/Shanghai") from error
        return value

    @field_validator("second_reader")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be an http or https URL, e.g. http://127.0.0.1:8000/v1")
        return value

    @field_validator("duty_hours")
    @classmethod
    def _are_hours(cls, value: str) -> str:
        DutyHours.parse(value)
        return value


def _told(place: tuple[int | str, ...], message: str) -> str:
    """What is wrong with a setting; with several together, the message names them itself."""
    return f"MINDGLM_{str(place[0]).upper()}: {message}" if place else message.removeprefix("Value error, ")
