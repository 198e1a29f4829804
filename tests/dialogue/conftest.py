from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dialogue import schema
from dialogue.database import Database, connect, sqlite_url
from tests.builders import Rooms


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Everything here is promised on both."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "test.db")
    else:
        new_database: Callable[[], str] = request.getfixturevalue("postgres_database")
        url = new_database()
    database = connect(url)
    schema.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def rooms(database: Database) -> Rooms:
    return Rooms(database)
