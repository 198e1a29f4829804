from collections.abc import Iterator

import pytest

from dialogue.process import home, logs
from dialogue.process.key_file import master_keys
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import connect
from tests.builders import Rooms
from tests.services.migrated import migrate


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Iterator[Rooms]:
    monkeypatch.setattr(logs, "configure", lambda _settings: None)  # pytest's own stays
    monkeypatch.setenv("MINDGLM_BROKER_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("USER", "operator")
    monkeypatch.setenv("LOGNAME", "operator")
    settings = DialogueSettings.read()
    migrate(home.database_url(settings))
    database = connect(home.database_url(settings))
    yield Rooms(database, master_keys(settings))
    database.close()
