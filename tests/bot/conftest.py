from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.services import BotServices
from dialogue.process.settings import DialogueSettings
from dialogue.storage import database
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.bot.practice import Practice
from tests.services.migrated import migrate


@pytest.fixture
def broker_url(redis_url: str) -> str:
    """A test may put one in its place that nobody serves."""
    return redis_url


@pytest.fixture
def asks_consent() -> bool:
    """A module that is about consent says True."""
    return False


@pytest.fixture
def busy_seconds() -> float:
    """How long a locked SQLite is waited for; a test that is about it takes less."""
    return database._BUSY_SECONDS


@pytest.fixture
def services(
    tmp_path: Path, broker_url: str, monkeypatch: pytest.MonkeyPatch, *, busy_seconds: float, asks_consent: bool
) -> Iterator[BotServices]:
    """What a channel's process has, on SQLite and a real broker, without its sweep."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", busy_seconds)
    url = sqlite_url(tmp_path / "bot.db")
    migrate(url)
    opened = BotServices.open(
        DialogueSettings(
            home=tmp_path,
            database_url=SecretStr(url),
            broker_url=SecretStr(broker_url),
            secret_key=SecretStr(new_secret()),
            max_message_length=100,
            consent="required" if asks_consent else "off",
            messages_per_minute=0,
        )
    )
    yield opened
    opened.close()


@pytest.fixture
def practice(services: BotServices) -> Practice:
    return Practice(services)
