"""Hints are announced once the rows are committed, never before, and not at all when they are rolled back."""

from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dialogue.core import conversations
from dialogue.states import ClosedBy
from dialogue.storage import after_commit
from dialogue.storage.after_commit import Hints
from dialogue.storage.database import Database
from dialogue.tables import Turn
from tests.announcements import Announcements
from tests.builders import Rooms, message

ONE = UUID(int=1)


class Broken(Exception):
    """What a use case may raise."""


def queue_and_break(session: Session) -> None:
    after_commit.owe(session, "within")
    with session.begin_nested():
        after_commit.owe(session, "deeper")
    raise Broken


def reset_and_break(session: Session, conversation_id: UUID, now: datetime) -> None:
    conversations.reset(session, conversation_id, by=ClosedBy.PERSON, now=now)
    raise Broken


def test_each_hint_is_announced_once_in_its_order(database: Database) -> None:
    heard: list[Hints] = []
    with database.announcing(heard.append).begin() as session:
        after_commit.owe(session, "b")
        after_commit.ring(session, ONE)
        after_commit.owe(session, "a")
        after_commit.owe(session, "b")
        after_commit.cancel(session, [ONE])
        assert heard == []
    assert heard == [
        Hints(owed_channels=("b", "a"), waiting_conversation_ids=(ONE,), cancelled_turn_ids=(ONE,)),
    ]


def test_what_is_announced_is_committed_already(rooms: Rooms) -> None:
    seen: list[int | None] = []

    def look(_hints: Hints) -> None:
        with rooms.database.read() as session:
            seen.append(session.scalar(select(func.count(Turn.id))))

    Rooms(rooms.database, rooms.keys).heard()
    watched = Rooms(rooms.database, rooms.keys)
    watched.database = rooms.database.announcing(look)
    watched.heard(who="小李")
    assert seen == [2]


def test_a_transaction_that_is_rolled_back_announces_nothing(database: Database) -> None:
    heard: list[Hints] = []
    with pytest.raises(Broken), database.announcing(heard.append).begin() as session:
        queue_and_break(session)
    assert heard == []


def test_a_savepoint_that_is_rolled_back_takes_its_hints_along(database: Database) -> None:
    heard: list[Hints] = []
    with database.announcing(heard.append).begin() as session:
        after_commit.owe(session, "before")
        with pytest.raises(Broken), session.begin_nested():
            queue_and_break(session)
        with session.begin_nested():
            after_commit.owe(session, "kept")
        after_commit.owe(session, "after")
    assert [hints.owed_channels for hints in heard] == [("before", "kept", "after")]


def test_a_hint_that_fails_is_logged_and_what_was_committed_stays(
    rooms: Rooms, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_hints: Hints) -> None:
        raise RuntimeError("秘密")

    failing = rooms.database.announcing(fail)
    with failing.begin() as session:
        after_commit.owe(session, "a")
    log = caplog.text + "".join(capfd.readouterr())
    assert "announcement_failed" in log
    assert "秘密" not in log


def test_nothing_queued_announces_nothing(database: Database) -> None:
    heard: list[Hints] = []
    with database.announcing(heard.append).begin() as session:
        session.execute(select(1))
    assert heard == []


def test_two_transactions_of_one_thread_keep_their_hints_apart(database: Database) -> None:
    heard = Announcements()
    announcing = database.announcing(heard)
    with announcing.begin() as session:
        after_commit.owe(session, "a")
    heard.clear()
    with announcing.begin() as session:
        after_commit.owe(session, "b")
    assert heard.owed_channels == {"b"}


def test_ending_a_conversation_that_is_rolled_back_cancels_nothing(rooms: Rooms) -> None:
    heard = rooms.receive(message())
    assert heard is not None
    rooms.announced.clear()
    with pytest.raises(Broken), rooms.database.begin() as session:
        reset_and_break(session, heard.conversation_id, rooms.clock())
    assert rooms.announced.cancelled_turn_ids == set()
    assert rooms.turn(heard.turn_id).finished_at is None


def test_ids_that_nobody_knows_do_no_harm(rooms: Rooms) -> None:
    with rooms.database.begin() as session:
        after_commit.cancel(session, [uuid4()])
    assert len(rooms.announced.cancelled_turn_ids) == 1
