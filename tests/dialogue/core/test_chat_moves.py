"""A group that gets another id, as every process sees it on both databases."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from dialogue.core import chat_moves, conversations, people
from dialogue.messages import Address, InboundMessage
from dialogue.rights import erasure
from dialogue.states import ClosedBy
from dialogue.storage.database import Database, connect
from dialogue.tables import ChatMove, Conversation, Delivery
from dialogue.upkeep.housekeeper import Housekeeper
from tests.builders import CHANNEL, Rooms, message
from tests.patience import wait_until

OLD, NEW, NEWEST = "-5", "-1005", "-2005"


@pytest.fixture
def house(each_database: str) -> Iterator[Rooms]:
    database = connect(each_database)
    yield Rooms(database)
    database.close()


def at(group: str, who: str = "7") -> Address:
    return Address(channel=CHANNEL, chat_id=f"{group}/{who}")


def said_in(group: str, words: str = "你好", *, who: str = "7") -> InboundMessage:
    return replace(message(words, who=who), address=at(group, who), is_private=False)


def hear(house: Rooms, inbound: InboundMessage) -> str:
    """As the inbox does; returns where it was said."""
    with house.database.begin() as session:
        present = chat_moves.present(session, inbound.address)
    house.receive(replace(inbound, address=present))
    return present.chat_id


def move(house: Rooms, before: str = OLD, after: str = NEW) -> None:
    with house.database.begin() as session:
        chat_moves.move_chat(session, CHANNEL, before=before, after=after, now=house.clock())


def places(house: Rooms) -> list[tuple[str, bool]]:
    """Of all conversations, and whether they are open."""
    with house.database.read() as session:
        query = select(Conversation.chat_id, Conversation.closed_at).order_by(Conversation.id)
        return [(row.chat_id, row.closed_at is None) for row in session.execute(query)]


def moves_kept(house: Rooms) -> list[str]:
    with house.database.read() as session:
        return list(session.scalars(select(ChatMove.chat_id).order_by(ChatMove.id)))


def test_late_words_are_where_the_conversation_went_whoever_hears_them(house: Rooms) -> None:
    hear(house, said_in(OLD, "一"))
    move(house)
    elsewhere = connect(house.database.engine.url.render_as_string(hide_password=False))
    assert hear(Rooms(elsewhere, house.keys), said_in(OLD, "二")) == f"{NEW}/7"
    elsewhere.close()
    assert places(house) == [(f"{NEW}/7", True)]


def test_somebody_who_said_nothing_before_the_move_is_followed_too(house: Rooms) -> None:
    move(house)
    assert hear(house, said_in(OLD, who="8")) == f"{NEW}/8"
    with house.database.begin() as session:
        assert chat_moves.present(session, at(OLD, "8/31")).chat_id == f"{NEW}/8/31"
        assert chat_moves.present(session, at("-50")) == at("-50")
        alone = Address(channel=CHANNEL, chat_id=OLD)
        assert chat_moves.present(session, alone) == alone


@pytest.mark.parametrize("is_old_move_heard_last", [False, True])
def test_a_group_that_moves_twice_is_followed_to_where_it_is(house: Rooms, *, is_old_move_heard_last: bool) -> None:
    hear(house, said_in(OLD))
    steps = [(OLD, NEW), (NEW, NEWEST)]
    for before, after in reversed(steps) if is_old_move_heard_last else steps:
        move(house, before, after)
    assert hear(house, said_in(OLD)) == hear(house, said_in(NEW)) == f"{NEWEST}/7"
    assert places(house) == [(f"{NEWEST}/7", True)]


def test_a_group_that_comes_back_is_followed_back(house: Rooms) -> None:
    hear(house, said_in(OLD))
    for before, after in ((OLD, NEW), (NEW, OLD), (NEW, OLD)):
        move(house, before, after)
    assert hear(house, said_in(NEW)) == hear(house, said_in(OLD)) == f"{OLD}/7"
    assert places(house) == [(f"{OLD}/7", True)]


def test_a_group_that_moves_to_where_it_is_stays_as_it_is(house: Rooms) -> None:
    hear(house, said_in(OLD))
    move(house, OLD, OLD)
    assert hear(house, said_in(OLD)) == f"{OLD}/7"
    assert (places(house), moves_kept(house)) == ([(f"{OLD}/7", True)], [])


def test_of_two_open_conversations_the_one_from_before_ends_once_nothing_in_it_is_owed(house: Rooms) -> None:
    hear(house, said_in(OLD, "一"))
    house.receive(said_in(NEW, "二"))  # before anybody knew
    move(house)
    assert places(house) == [(f"{OLD}/7", True), (f"{NEW}/7", True)]
    with house.database.begin() as session:
        (conversation_id,) = session.scalars(select(Conversation.id).where(Conversation.chat_id == f"{OLD}/7"))
        conversations.silence(session, conversation_id, now=house.clock())
    move(house)
    with house.database.read() as session:
        ended, stays = session.scalars(select(Conversation).order_by(Conversation.id))
        assert (ended.chat_id, ended.closed_by) == (f"{NEW}/7", ClosedBy.CHANNEL)
        assert (stays.chat_id, stays.closed_at) == (f"{NEW}/7", None)
        assert session.scalars(select(Delivery.id)).all() == []


def test_a_move_is_forgotten_with_the_last_conversation_of_the_group(house: Rooms) -> None:
    hear(house, said_in(OLD))
    move(house)
    move(house, "-6", "-1006")  # nobody there ever spoke to us
    keeper = Housekeeper(database=house.database, retention_days=30, clock=house.clock)
    keeper.keep()
    assert moves_kept(house) == [OLD, "-6"]
    house.clock.tick(3 * 24 * 3600)
    keeper.keep()
    assert moves_kept(house) == [OLD]
    with house.database.begin() as session:
        (person_id,) = session.scalars(select(Conversation.person_id))
        erasure.erase(session, person_id, by=ClosedBy.PERSON, actor="person", farewell_to=None, now=house.clock())
    house.clock.tick(3 * 24 * 3600)
    keeper.keep()
    assert moves_kept(house) == []


def test_a_move_waits_for_words_that_another_process_is_storing(postgres_database: Callable[[], str]) -> None:
    url = postgres_database()
    with ExitStack() as opened:
        one, other = (Rooms(opened.enter_context(_connected(url))) for _ in range(2))
        pool = opened.enter_context(ThreadPoolExecutor(1))
        with one.database.begin() as session:
            inbound = replace(said_in(OLD), address=chat_moves.present(session, at(OLD)))
            moving = pool.submit(move, other)
            wait_until(lambda: _waits_for_a_lock(one.database), 20)
            person = people.locked(session, one.keys, channel=CHANNEL, user_id="7", now=one.clock())
            conversations.open_for(session, person, inbound.address, now=one.clock())
        moving.result()
        assert places(one) == [(f"{NEW}/7", True)]


@contextmanager
def _connected(url: str) -> Iterator[Database]:
    database = connect(url)
    yield database
    database.close()


def _waits_for_a_lock(database: Database) -> bool:
    with database.read() as session:
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(session.scalar(waiting))
