"""What people's ratings become: only theirs who agreed, and only from then on."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from dialogue.core import consent, feedback, people
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import connect
from tests.builders import CHANNEL, Rooms
from training.data import feedback as source
from training.data.preferences import Preference
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange


@pytest.fixture
def rooms(each_database: str) -> Iterator[Rooms]:
    database = connect(each_database)
    yield Rooms(database)
    database.close()


def agree(rooms: Rooms, who: str, *, is_allowed: bool = True) -> None:
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=who, now=rooms.clock())
        consent.share(session, person, is_allowed=is_allowed, now=rooms.clock())


def rated(rooms: Rooms, text: str, answer: str, *, who: str, value: int) -> UUID:
    received = rooms.answered(text, answer, who=who)
    with rooms.database.begin() as session:
        assert feedback.rate(
            session, channel=CHANNEL, user_id=who, turn_id=received.turn_id, value=value, now=rooms.clock()
        )
    rooms.clock.tick(60)
    return received.conversation_id


def exported(rooms: Rooms) -> list[Preference]:
    with rooms.database.begin() as session:
        return source.comparisons(session, rooms.keys, DialogueSettings())


def test_a_liked_reply_stands_against_one_that_the_same_person_did_not_like(rooms: Rooms) -> None:
    agree(rooms, "小王")
    agree(rooms, "小李")
    rated(rooms, "我睡不着", "多久了？", who="小王", value=1)
    rated(rooms, "一个月了", "想开点。", who="小王", value=-1)
    rated(rooms, "我很难过", "嗯。", who="小李", value=-1)
    (found,) = exported(rooms)
    assert (found.history, found.text, found.chosen, found.rejected) == ((), "我睡不着", "多久了？", "想开点。")
    assert found.rejected_after == ((Exchange("我睡不着", "多久了？"),), "一个月了")
    assert found.origin == "feedback"


def test_nobody_is_exported_who_did_not_say_so_or_took_it_back(rooms: Rooms) -> None:
    rated(rooms, "我睡不着", "多久了？", who="小王", value=1)
    rated(rooms, "一个月了", "想开点。", who="小王", value=-1)
    assert exported(rooms) == []
    agree(rooms, "小王")
    assert exported(rooms) == []  # that conversation began before
    agree(rooms, "小李")
    rated(rooms, "我睡不着", "多久了？", who="小李", value=1)
    rated(rooms, "一个月了", "想开点。", who="小李", value=-1)
    assert len(exported(rooms)) == 1
    agree(rooms, "小李", is_allowed=False)
    assert exported(rooms) == []


def test_without_a_key_nothing_leaves_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(source.KEY_VARIABLE, raising=False)
    with pytest.raises(TrainingTrouble, match=source.KEY_VARIABLE):
        source.training_key()
