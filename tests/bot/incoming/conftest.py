from collections.abc import Iterator

import pytest

from dialogue.storage.database import connect, sqlite_url
from tests.bot.incoming.steps.talk import Talk
from tests.builders import Rooms
from tests.services.migrated import migrate


@pytest.fixture(scope="session")
def shared_rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    """One database for all steps: everybody in it is asked about by one test only."""
    url = sqlite_url(tmp_path_factory.mktemp("steps") / "steps.db")
    migrate(url)
    database = connect(url)
    yield Rooms(database)
    database.close()


@pytest.fixture
def talk(shared_rooms: Rooms) -> Talk:
    """Somebody who has agreed to the notice and never wrote before."""
    talk = Talk(shared_rooms)
    talk.agree()
    return talk


@pytest.fixture
def stranger(shared_rooms: Rooms) -> Talk:
    """Somebody who has not been asked yet."""
    return Talk(shared_rooms)
