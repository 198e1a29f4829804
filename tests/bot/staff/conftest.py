from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.services import BotServices
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.services.migrated import migrate


@pytest.fixture(params=["sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> DialogueSettings:
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path / "bot.db") if is_sqlite else request.getfixturevalue("postgres_database")()
    return DialogueSettings(
        home=tmp_path,
        database_url=SecretStr(url),
        broker_url=SecretStr(redis_url),
        secret_key=SecretStr(new_secret()),
        max_message_length=100,
        consent="off",
        messages_per_minute=0,
        admins="telegram:42, telegram:43",
    )


@pytest.fixture
def desk(settings: DialogueSettings) -> Iterator[BotServices]:
    assert settings.database_url is not None
    migrate(settings.database_url.get_secret_value())
    services = BotServices.open(settings)
    yield services
    services.close()
