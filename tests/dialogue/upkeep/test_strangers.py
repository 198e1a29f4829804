"""Who was asked and never answered leaves nothing behind, and nobody else is taken for such a one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from care import texts
from dialogue.admin import alerts, audit
from dialogue.admin.audit import Whom
from dialogue.admin.office import Office
from dialogue.core import consent, conversations, intake, outbox, people
from dialogue.core import danger_course as danger
from dialogue.core.people import KnownPerson
from dialogue.messages import Address
from dialogue.states import ClosedBy, DeliveryKind
from dialogue.storage.database import Database
from dialogue.tables import CONVERSATIONS, DELIVERIES, MESSAGES, PEOPLE, Complaint
from dialogue.upkeep import housekeeper, retention, strangers
from dialogue.upkeep.housekeeper import Housekeeper
from dialogue.upkeep.strangers import FORGOTTEN
from tests.builders import CHANNEL, Rooms, message
from tests.patience import wait_until

ME = UUID(int=8)
MONTH = timedelta(days=30)
TABLES = (PEOPLE, CONVERSATIONS, MESSAGES, DELIVERIES)


def known(rooms: Rooms, who: str) -> KnownPerson:
    with rooms.database.begin() as session:
        return people.locked(session, rooms.keys, channel=CHANNEL, user_id=who, now=rooms.clock())


def asked(rooms: Rooms, who: str = "小王") -> UUID:
    """Somebody writes, is shown the notice, and is heard of no more; returns who."""
    person, inbound, now = known(rooms, who), message(who=who), rooms.clock()
    with rooms.database.begin() as session:
        place = conversations.open_for(session, person, inbound.address, now=now)
        heard = intake.store(
            session, person, inbound, text="我睡不着", conversation_id=place, expires_at=now + consent.HOLD, now=now
        )
        consent.ask(session, person, version="1", now=now)
        outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=inbound.address,
            text="同意吗",
            kind=DeliveryKind.CONSENT,
            conversation_id=place,
            message_id=heard,
            now=now,
        )
    for owed in rooms.due(owner=ME):
        rooms.mark_sent(owed, owner=ME)
    return person.id


def keep_house(rooms: Rooms) -> None:
    Housekeeper(database=rooms.database, retention_days=30, clock=rooms.clock).keep()


def after_their_days(rooms: Rooms) -> None:
    """The conversation ends by its silence, its words go as many days later."""
    for _ in range(2):
        rooms.clock.tick(MONTH.total_seconds() + 1)
        rooms.sweep()
        keep_house(rooms)


def rows(rooms: Rooms) -> list[int]:
    with rooms.database.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES]


def test_who_never_answered_is_gone_when_their_days_are_over_and_not_before(rooms: Rooms) -> None:
    asked(rooms)
    rooms.clock.tick(2 * MONTH.total_seconds() - 1)
    rooms.sweep()
    keep_house(rooms)
    assert rows(rooms) == [1, 1, 1, 1]
    rooms.clock.tick(MONTH.total_seconds() + 1)
    keep_house(rooms)
    assert rows(rooms) == [0, 0, 0, 0]
    with rooms.database.read() as session:
        (entry,) = audit.entries(session, action=FORGOTTEN)
    assert (entry.actor, entry.person_id, entry.reason) == ("housekeeper", None, "people=1")


def test_whoever_comes_back_is_somebody_new(rooms: Rooms) -> None:
    before = asked(rooms)
    after_their_days(rooms)
    assert asked(rooms) != before
    keep_house(rooms)
    assert rows(rooms) == [1, 1, 1, 1]


def test_of_many_each_round_forgets_some_and_the_next_goes_on(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        asked(rooms, f"人{number}")
    monkeypatch.setattr(housekeeper, "_STRANGERS_A_ROUND", 7)
    after_their_days(rooms)
    assert rows(rooms)[0] == 5
    keep_house(rooms)
    assert rows(rooms) == [0, 0, 0, 0]


def test_who_agreed_stays_even_if_they_said_nothing_more(rooms: Rooms) -> None:
    asked(rooms)
    person = known(rooms, "小王")
    with rooms.database.begin() as session:
        consent.agree(session, person, version="1", band=None, now=rooms.clock())
    after_their_days(rooms)
    assert rows(rooms) == [1, 1, 1, 1]


def test_who_talked_stays(rooms: Rooms) -> None:
    heard = rooms.answered("话", "回答")
    rooms.reset(heard.conversation_id)
    after_their_days(rooms)
    assert rows(rooms) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "column", ["declined_at", "age_band", "blocked_at", "alerts_muted_at", "training_consented_at", "erased_at"]
)
def test_who_is_known_for_something_stays(rooms: Rooms, column: str) -> None:
    person = asked(rooms)
    value: Any = "child" if column == "age_band" else rooms.clock()
    with rooms.database.begin() as session:
        session.execute(update(PEOPLE).where(PEOPLE.c.id == person).values({column: value}))
    rooms.clock.tick(2 * MONTH.total_seconds() + 2)
    with rooms.database.begin() as session:
        assert not strangers.forget(session, person, until=rooms.clock())


def complained(rooms: Rooms, person: UUID, _place: UUID) -> None:
    with rooms.database.begin() as session:
        session.add(Complaint(person_id=person, text=None, made_at=rooms.clock()))


def alarmed(rooms: Rooms, person: UUID, place: UUID) -> None:
    with rooms.database.begin() as session:
        whom = Whom(person_id=person, conversation_id=place)
        audit.note(session, actor="screening", action=danger.ALARM, whom=whom, reason="tier 3", now=rooms.clock())


def looked_at(rooms: Rooms, _person: UUID, place: UUID) -> None:
    with rooms.database.begin() as session:
        whom = Whom(conversation_id=place)
        audit.note(session, actor="cli:lin", action="read", whom=whom, reason=None, now=rooms.clock())


def told_to_an_admin(rooms: Rooms, _person: UUID, place: UUID) -> None:
    admin = known(rooms, "管理员")
    with rooms.database.begin() as session:
        outbox.owe(
            session,
            admin.key,
            person_id=admin.id,
            address=Address(channel=CHANNEL, chat_id="管理员"),
            text="请看一下",
            kind=DeliveryKind.ALERT,
            conversation_id=place,
            now=rooms.clock(),
        )


@pytest.mark.parametrize("deed", [complained, alarmed, looked_at, told_to_an_admin])
def test_whom_something_points_at_stays(rooms: Rooms, deed: Callable[[Rooms, UUID, UUID], None]) -> None:
    person = asked(rooms)
    with rooms.database.read() as session:
        place = session.scalars(select(CONVERSATIONS.c.id)).one()
    deed(rooms, person, place)
    after_their_days(rooms)
    with rooms.database.read() as session:
        assert person in session.scalars(select(PEOPLE.c.id)).all()


def test_who_wrote_again_lately_or_is_still_owed_something_stays(rooms: Rooms) -> None:
    person = asked(rooms)
    with rooms.database.begin() as session:
        conversations.reset_all(session, known(rooms, "小王"), by=ClosedBy.PERSON, now=rooms.clock())
    rooms.clock.tick(MONTH.total_seconds())
    with rooms.database.begin() as session:
        retention.purge(session, closed_until=rooms.clock(), limit=99, now=rooms.clock())
        outbox.owe_unwritten(
            session,
            person_id=person,
            address=Address(channel=CHANNEL, chat_id="小王"),
            kind=DeliveryKind.EXPORT,
            now=rooms.clock(),
        )
    keep_house(rooms)
    assert rows(rooms)[0] == 1
    for owed in rooms.due(owner=ME):
        rooms.mark_sent(owed, owner=ME)
    inbound = message()
    with rooms.database.begin() as session:
        intake.store(session, known(rooms, "小王"), inbound, text=None, now=rooms.clock())
    keep_house(rooms)
    assert rows(rooms)[0] == 1


def somebody_waits(database: Database) -> bool:
    """For a lock of another transaction, or for another writer of this process."""
    if database._writer is not None:
        return bool(database._writer._waiting)
    locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.read() as session:
        return bool(session.scalar(text(locked)))


def test_an_alert_to_an_admin_who_is_being_forgotten_is_owed_all_the_same(rooms: Rooms) -> None:
    """An admin who once said hello is a stranger too, until they are told of somebody."""
    admin = Address(channel=CHANNEL, chat_id="管理员")
    office = Office(keys=rooms.keys, texts=texts.load("zh"), admins=(admin,))
    stranger = asked(rooms, "管理员")
    rooms.clock.tick(MONTH.total_seconds() + 1)
    rooms.sweep()
    with rooms.database.begin() as session:
        conversations.reset_all(session, known(rooms, "管理员"), by=ClosedBy.PERSON, now=rooms.clock())
    rooms.clock.tick(MONTH.total_seconds())
    now = rooms.clock()
    with rooms.database.begin() as session:
        retention.purge(session, closed_until=now, limit=99, now=now)

    def tell() -> None:
        with rooms.database.begin() as session:
            alerts.alert(session, office, "请看一下", conversation_id=None, now=now)

    with ThreadPoolExecutor(1) as elsewhere:
        with rooms.database.begin() as session:
            assert strangers.forget(session, stranger, until=now)
            telling = elsewhere.submit(tell)
            wait_until(lambda: somebody_waits(rooms.database))
            assert not telling.done()
        telling.result(timeout=10)
    assert [owed.text for owed in rooms.due(owner=ME)] == ["请看一下"]
