import pytest

from care import texts
from dialogue.admin.office import Actor, Office
from dialogue.messages import Address
from tests.builders import Rooms

BOSS = Address(channel="telegram", chat_id="1")
COLLEAGUE = Address(channel="telegram", chat_id="2")


@pytest.fixture
def office(rooms: Rooms) -> Office:
    return Office(keys=rooms.keys, texts=texts.load("zh"), admins=(BOSS, COLLEAGUE))


@pytest.fixture
def boss() -> Actor:
    return Actor.at(BOSS)


@pytest.fixture
def colleague() -> Actor:
    return Actor.at(COLLEAGUE)
