from collections.abc import Iterator
from pathlib import Path

import pytest

from dialogue import schema
from dialogue.database import connect, sqlite_url
from tests.builders import Rooms


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    database = connect(sqlite_url(tmp_path / "test.db"))
    schema.upgrade(database)
    yield Rooms(database)
    database.close()
