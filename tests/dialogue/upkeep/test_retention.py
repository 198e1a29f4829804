from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from dialogue.states import ClosedBy, DeliveryState
from dialogue.tables import DELIVERIES, MESSAGES, TURNS, AuditEntry
from dialogue.telemetry.prometheus import Prometheus
from dialogue.upkeep import retention
from dialogue.upkeep.housekeeper import PURGED, Housekeeper
from dialogue.upkeep.retention import Purged
from tests.builders import Rooms

ME = uuid4()
MONTH = timedelta(days=30)


def purge(rooms: Rooms, *, limit: int = 100) -> Purged:
    with rooms.database.begin() as session:
        return retention.purge(session, closed_until=rooms.clock() - MONTH, limit=limit, now=rooms.clock())


def texts_left(rooms: Rooms) -> int:
    with rooms.database.read() as session:
        return sum(
            len(session.scalars(select(column).where(column.is_not(None))).all())
            for column in (MESSAGES.c.text, TURNS.c.reply, DELIVERIES.c.text)
        )


def ended(rooms: Rooms, who: str = "小王", *, turns: int = 1) -> UUID:
    """A conversation with that many turns that ends now."""
    for number in range(turns):
        heard = rooms.answered(f"话{number}", f"回答{number}", who=who)
    rooms.reset(heard.conversation_id)
    return heard.conversation_id


def test_texts_go_when_their_days_are_over_and_not_before(rooms: Rooms) -> None:
    conversation_id = ended(rooms)
    rooms.clock.tick(MONTH.total_seconds() - 1)
    assert purge(rooms) == Purged()
    assert texts_left(rooms) == 3
    rooms.clock.tick(1)
    assert purge(rooms) == Purged(texts=3, conversations=1)
    assert texts_left(rooms) == 0
    assert rooms.conversation(conversation_id).purged_at == rooms.clock()
    assert purge(rooms) == Purged()


def test_numbers_stay(rooms: Rooms) -> None:
    conversation_id = ended(rooms)
    rooms.clock.tick(MONTH.total_seconds())
    purge(rooms)
    with rooms.database.read() as session:
        (turn,) = session.execute(select(TURNS).where(TURNS.c.conversation_id == conversation_id))
    assert (turn.reply, turn.prompt_tokens, turn.model_version) == (None, 3, "model")


def test_an_open_conversation_keeps_its_texts(rooms: Rooms) -> None:
    rooms.answered("话", "回答")
    rooms.clock.tick(MONTH.total_seconds() * 2)
    assert purge(rooms) == Purged()


def test_a_batch_touches_no_more_than_it_may_and_the_next_goes_on(rooms: Rooms) -> None:
    for number in range(3):
        ended(rooms, f"人{number}", turns=4)
    rooms.clock.tick(MONTH.total_seconds())
    batches = []
    while texts_left(rooms):
        batches.append(purge(rooms, limit=5))
    assert all(batch.texts <= 5 for batch in batches)
    assert sum(batch.texts for batch in batches) == 36


def test_what_is_owed_of_a_purged_conversation_is_owed_no_more(rooms: Rooms) -> None:
    heard = rooms.answered("话", "回答")
    rooms.reset(heard.conversation_id)
    with rooms.database.begin() as session:
        session.execute(DELIVERIES.update().values(state=DeliveryState.PENDING))
    rooms.clock.tick(MONTH.total_seconds())
    purge(rooms)
    assert rooms.due(owner=ME) == []
    assert [one.state for one in rooms.deliveries()] == [DeliveryState.DISCARDED]


def test_what_nobody_ended_is_closed_after_as_long_a_silence(rooms: Rooms) -> None:
    silent = rooms.answered("话", "回答", who="小王").conversation_id
    busy = rooms.answered("话", "回答", who="小李").conversation_id
    rooms.clock.tick(MONTH.total_seconds() / 2)
    rooms.heard("我还在", who="小李")
    rooms.clock.tick(MONTH.total_seconds() / 2)
    with rooms.database.begin() as session:
        count = retention.close_silent(session, silent_since=rooms.clock() - MONTH, limit=10, now=rooms.clock())
    assert count == 1
    assert rooms.conversation(silent).closed_by is ClosedBy.SILENCE
    assert rooms.conversation(busy).closed_at is None


def test_the_housekeeper_does_all_of_it_and_writes_down_how_much(rooms: Rooms) -> None:
    ended(rooms, "小王", turns=80)
    rooms.answered("话", "回答", who="小李")
    rooms.clock.tick(MONTH.total_seconds())
    keeper = Housekeeper(database=rooms.database, retention_days=30, clock=rooms.clock)
    assert keeper.overdue().conversations == 1
    assert keeper.keep() == Purged(texts=240, conversations=1)
    assert keeper.overdue() == retention.Overdue(conversations=0, oldest_closed_at=None)
    rooms.clock.tick(MONTH.total_seconds())
    assert keeper.keep() == Purged(texts=3, conversations=1)
    assert texts_left(rooms) == 0
    with rooms.database.read() as session:
        reasons = session.scalars(select(AuditEntry.reason).where(AuditEntry.action == PURGED)).all()
    assert sum(int(str(reason).split()[0].removeprefix("texts=")) for reason in reasons) == 243


def test_its_thread_ends_when_it_is_told_to(rooms: Rooms) -> None:
    keeper = Housekeeper(database=rooms.database, retention_days=30, clock=rooms.clock)
    keeper.start()
    keeper.stop()


def test_what_is_overdue_can_be_seen(rooms: Rooms) -> None:
    received = rooms.answered("你好", "我在听")
    rooms.reset(received.conversation_id)
    rooms.clock.now += timedelta(days=31)
    instruments = Prometheus()
    keeper = Housekeeper(database=rooms.database, retention_days=30, instruments=instruments, clock=rooms.clock)
    keeper.count_overdue()
    assert b"mindglm_retention_overdue 1.0" in instruments.exposition("")[0]
    keeper.keep()
    keeper.count_overdue()
    assert b"mindglm_retention_overdue 0.0" in instruments.exposition("")[0]
