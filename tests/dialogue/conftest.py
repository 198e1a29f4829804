from collections.abc import Iterator

import pytest

from dialogue.storage.database import Database, connect
from tests.builders import Rooms


@pytest.fixture
def database(each_database: str) -> Iterator[Database]:
    """Everything here is promised on both."""
    database = connect(each_database)
    yield database
    database.close()


@pytest.fixture
def rooms(database: Database) -> Rooms:
    return Rooms(database)
