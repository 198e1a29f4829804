from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import inspect, select, text, update

from dialogue.core import history, people
from dialogue.errors import Erased, Unreadable
from dialogue.messages import Address
from dialogue.rights import complaints, erasure
from dialogue.rights import emergency_contacts as contacts
from dialogue.states import ClosedBy, DeliveryKind, DeliveryState, TurnState
from dialogue.tables import COMPLAINTS, DELIVERIES, MESSAGES, PEOPLE, TURNS, AuditEntry, Conversation, Person, Turn
from tests.builders import CHANNEL, Rooms, message

ME = uuid4()
WORDS = "messages.text"
HOME = Address(channel=CHANNEL, chat_id="小王")


def person_id(rooms: Rooms, who: str = "小王") -> UUID:
    with rooms.database.read() as session:
        found = session.scalar(select(Person.id).where(Person.user_id == who))
    assert found is not None
    return found


def erase(rooms: Rooms, who: str = "小王", *, farewell_to: Address | None = HOME) -> UUID | None:
    with rooms.database.begin() as session:
        return erasure.erase(
            session,
            person_id(rooms, who),
            by=ClosedBy.PERSON,
            actor="person",
            farewell_to=farewell_to,
            now=rooms.clock(),
        )


def lose_key(rooms: Rooms, who: str) -> None:
    """As if somebody had thrown the key away and nothing else."""
    with rooms.database.begin() as session:
        session.execute(update(PEOPLE).where(PEOPLE.c.user_id == who).values(data_key=None))


def scrub_all(rooms: Rooms, *, limit: int = 100) -> list[int]:
    counts = []
    while True:
        with rooms.database.begin() as session:
            counts.append(erasure.scrub(session, limit=limit, now=rooms.clock()))
        if not counts[-1]:
            return counts


def test_no_text_can_be_read_once_its_person_was_erased(rooms: Rooms) -> None:
    heard = rooms.answered("我很难过", "我在听")
    erased = person_id(rooms)
    erase(rooms)
    with rooms.database.read() as session:
        (sealed,) = session.scalars(select(MESSAGES.c.text))
        with pytest.raises(Erased):
            people.key_of(session, rooms.keys, erased)
        anew = rooms.keys.person_key(rooms.keys.new_data_key(erased), erased)
        with pytest.raises(Unreadable):
            history.words_of(session, anew, [heard.turn_id])
    assert sealed is not None


def test_what_waits_is_generated_or_owed_is_settled(rooms: Rooms) -> None:
    rooms.answered("一", "回答一")
    generated = rooms.heard("二")
    turn = rooms.claimed(generated.conversation_id, owner=ME)
    waiting = rooms.heard("三")
    rooms.announced.clear()
    erase(rooms)
    assert rooms.announced.owed_channels == {HOME.channel}
    assert rooms.announced.cancelled_turn_ids == {turn.id, waiting.turn_id}
    assert rooms.complete(turn, "太晚了", owner=ME) is None
    assert rooms.turn(waiting.turn_id).state is TurnState.DISCARDED
    assert [(owed.kind, owed.text) for owed in rooms.due(owner=ME)] == [(DeliveryKind.FAREWELL, "")]
    assert rooms.sweep().conversation_ids == []


def test_who_writes_again_is_somebody_new(rooms: Rooms) -> None:
    rooms.answered("我很难过", "我在听")
    erased = person_id(rooms)
    erase(rooms)
    heard = rooms.heard("你好")
    assert person_id(rooms) != erased
    turn = rooms.claimed(heard.conversation_id, owner=ME)
    assert turn.history == []
    assert turn.text == "你好"


def test_an_update_that_comes_again_after_the_erasure_is_still_a_repeat(rooms: Rooms) -> None:
    update_again = message("我很难过", external_id="7")
    assert rooms.receive(update_again) is not None
    erase(rooms)
    assert rooms.receive(update_again) is None


def test_erasing_twice_changes_nothing(rooms: Rooms) -> None:
    rooms.heard()
    erased = person_id(rooms)
    erase(rooms)
    with rooms.database.begin() as session:
        again = erasure.erase(session, erased, by=ClosedBy.ADMIN, actor="x", farewell_to=HOME, now=rooms.clock())
    assert again is None
    with rooms.database.read() as session:
        assert [entry.action for entry in session.scalars(select(AuditEntry))] == [erasure.ERASED]


def test_a_channel_goes_on_when_one_of_its_people_lost_their_key(rooms: Rooms) -> None:
    rooms.answered("在吗", "给小李的", who="小李")
    rooms.answered("在吗", "给小王的", who="小王")
    lose_key(rooms, "小李")
    assert [owed.text for owed in rooms.due(owner=ME)] == ["给小王的"]
    assert [one.state for one in rooms.deliveries()] == [DeliveryState.DISCARDED, DeliveryState.SENDING]


def test_a_damaged_text_fails_alone(rooms: Rooms) -> None:
    rooms.answered("在吗", "给小李的", who="小李")
    rooms.answered("在吗", "给小王的", who="小王")
    with rooms.database.begin() as session:
        session.execute(update(DELIVERIES).where(DELIVERIES.c.chat_id == "小李").values(text=b"\x01damaged"))
    assert [owed.text for owed in rooms.due(owner=ME)] == ["给小王的"]
    damaged, _ = rooms.deliveries()
    assert (damaged.state, damaged.error) == (DeliveryState.FAILED, "unreadable")


def test_a_text_of_another_master_key_waits_for_it(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Rooms(rooms.database, clock=rooms.clock)  # with a master key of its own
    stranger.answered("在吗", "给小李的", who="小李")
    rooms.answered("在吗", "给小王的", who="小王")
    assert [owed.text for owed in rooms.due(owner=ME)] == ["给小王的"]
    rooms.clock.tick(60)
    assert [owed.text for owed in stranger.due(owner=ME)] == ["给小李的"]


def test_a_worker_discards_the_turn_of_someone_who_lost_their_key(rooms: Rooms) -> None:
    received = rooms.heard(who="小李")
    lose_key(rooms, "小李")
    assert rooms.claim(received.conversation_id) is None
    assert rooms.turn(received.turn_id).state is TurnState.DISCARDED


def test_the_sweep_goes_on_when_there_is_nobody_left_to_apologise_to(rooms: Rooms) -> None:
    hopeless = rooms.heard(who="小李")
    rooms.claimed(hopeless.conversation_id, owner=ME)
    waiting = rooms.heard(who="小王")
    lose_key(rooms, "小李")
    rooms.clock.tick(20)
    assert rooms.sweep(max_attempts=1).conversation_ids == [waiting.conversation_id]
    assert rooms.turn(hopeless.turn_id).state is TurnState.FAILED


def test_someone_whose_key_was_lost_by_other_means_begins_anew(rooms: Rooms) -> None:
    rooms.heard("旧的")
    lose_key(rooms, "小王")
    rooms.clock.tick(60)
    heard = rooms.heard("新的")
    assert rooms.claim(heard.conversation_id) is not None


def test_nobody_goes_on_in_the_conversation_of_someone_who_was_set_aside(rooms: Rooms) -> None:
    before = rooms.heard("旧的")  # a restored backup may hold it open
    with rooms.database.begin() as session:
        people.set_aside(session, person_id(rooms), now=rooms.clock())
    after = rooms.heard("新的")
    assert after.conversation_id != before.conversation_id
    assert rooms.claim(after.conversation_id) is not None


def test_rows_go_in_batches_when_no_platform_will_repeat_them(rooms: Rooms) -> None:
    for number in range(5):
        heard = rooms.answered(f"话{number}", "回答")
    rooms.answered("留下", "我在", who="小李")
    erase(rooms)
    rooms.clock.tick(erasure.REPLAY.total_seconds() - 1)
    assert scrub_all(rooms) == [0]
    rooms.clock.tick(1)
    counts = scrub_all(rooms, limit=4)
    assert max(counts) <= 4
    assert sum(counts) > 10
    with rooms.database.read() as session:
        assert len(session.scalars(select(MESSAGES.c.id)).all()) == 1
        assert len(session.scalars(select(DELIVERIES.c.id)).all()) == 1
        assert len(session.scalars(select(TURNS.c.id).where(TURNS.c.reply.is_not(None))).all()) == 1
        assert len(session.scalars(select(TURNS.c.prompt_tokens)).all()) == 6  # numbers stay
    assert rooms.conversation(heard.conversation_id).chat_id.startswith("erased:")


def test_nothing_that_names_the_person_is_left(rooms: Rooms) -> None:
    rooms.answered("我很难过", "我在听", who="user-4711")
    erase(rooms, "user-4711", farewell_to=Address(channel=CHANNEL, chat_id="user-4711"))
    rooms.clock.tick(erasure.REPLAY.total_seconds())
    scrub_all(rooms)
    names = [name for name in inspect(rooms.database.engine).get_table_names() if name != "processes"]
    with rooms.database.engine.connect() as connection:
        rows = [repr(row) for name in names for row in connection.execute(text(f'SELECT * FROM "{name}"'))]
    assert not any("4711" in row for row in rows)


def test_what_admins_were_sent_of_a_person_goes_with_them(rooms: Rooms) -> None:
    heard = rooms.answered("我很难过", "我在听")
    rooms.answered("我是管理员", "好", who="管理员")
    admin = person_id(rooms, "管理员")
    with rooms.database.begin() as session:  # a copy that the admin's key seals
        copy = update(DELIVERIES).where(DELIVERIES.c.person_id == admin)
        session.execute(copy.values(conversation_id=heard.conversation_id))
    erase(rooms)
    with rooms.database.read() as session:
        assert session.scalars(select(DELIVERIES.c.text).where(DELIVERIES.c.person_id == admin)).all() == [None]
    assert [owed.kind for owed in rooms.due(owner=ME)] == [DeliveryKind.FAREWELL]


def test_contacts_and_complaints_go_with_the_key(rooms: Rooms) -> None:
    rooms.heard()
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id="小王", now=rooms.clock())
        contacts.give(session, person, "妈妈 123", now=rooms.clock())
        contacts.give(session, person, "爸爸 456", now=rooms.clock())
        complaint_id = complaints.make(session, person, "回答太慢", conversation_id=None, now=rooms.clock())
        assert contacts.shown(session, person) == "爸爸 456"
        read = complaints.read(session, rooms.keys, complaint_id, by="admin", now=rooms.clock())
        assert read is not None
        assert read.text == "回答太慢"
    erase(rooms)
    with rooms.database.begin() as session:
        reading = contacts.look_up(session, rooms.keys, person.id, by="admin", reason="危险", now=rooms.clock())
        assert reading is None
        read = complaints.read(session, rooms.keys, complaint_id, by="admin", now=rooms.clock())
        assert read is not None
        assert read.text is None
        assert session.scalar(select(COMPLAINTS.c.text)) is None
        assert complaints.settle(session, complaint_id, by="admin", now=rooms.clock())
        assert not complaints.settle(session, complaint_id, by="admin", now=rooms.clock())
        actions = [entry.action for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert {contacts.READ, complaints.READ, complaints.SETTLED, erasure.ERASED} <= set(actions)


def test_whoever_writes_while_they_are_erased_is_heard_once_by_one_of_the_two(rooms: Rooms) -> None:
    rooms.heard("从前")
    before = person_id(rooms)

    def act(number: int) -> object:
        return erase(rooms) if number == 4 else rooms.heard(f"话{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(9)))
    with rooms.database.read() as session:
        texts = session.execute(select(MESSAGES.c.id, MESSAGES.c.person_id, MESSAGES.c.text)).all()
        wrapped = dict(session.execute(select(PEOPLE.c.id, PEOPLE.c.data_key)).all())
        waiting = select(Conversation.person_id).join(Turn).where(Turn.state == TurnState.WAITING)
        assert set(session.scalars(waiting)) <= set(wrapped) - {before}
    assert len(texts) == 9
    assert wrapped.pop(before) is None
    for row in texts:
        if row.person_id != before:
            rooms.keys.person_key(wrapped[row.person_id], row.person_id).open(row.text, row=row.id, column=WORDS)
