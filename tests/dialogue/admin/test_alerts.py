from uuid import UUID

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from dialogue.admin import alerts
from dialogue.admin.office import Actor, Office
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.tables import Person
from tests.builders import Rooms
from tests.dialogue.admin.conftest import BOSS, COLLEAGUE
from tests.dialogue.admin.test_takeover import owed_to

ME = UUID(int=1)


def alarm(rooms: Rooms, office: Office, conversation_id: UUID, *, tier: int, is_urgent: bool = False) -> set[str]:
    """The channels on which admins are told."""
    rooms.announced.clear()
    with rooms.database.begin() as session:
        alerts.alarm(session, office, conversation_id, tier=tier, is_urgent=is_urgent, now=rooms.clock())
    return set(rooms.announced.owed_channels)


def test_every_admin_is_told_ids_and_tier_also_who_never_wrote_to_the_bot(rooms: Rooms, office: Office) -> None:
    heard = rooms.heard("谁也不许看见的话")
    assert alarm(rooms, office, heard.conversation_id, tier=3) == {"telegram"}
    for admin in (BOSS, COLLEAGUE):
        (told,) = owed_to(rooms, admin)
        assert told.kind is DeliveryKind.ALERT
        assert "等级 3" in told.text
        assert heard.conversation_id.hex[:8] in told.text
        assert "谁也不许看见的话" not in told.text


def test_an_admin_whose_key_cannot_be_opened_costs_nobody_else_the_alarm(rooms: Rooms, office: Office) -> None:
    """A row of a restored backup, or of before a rotation; the person in danger is answered in this transaction."""
    alarm(rooms, office, rooms.heard().conversation_id, tier=3)
    with rooms.database.begin() as session:
        session.execute(update(Person).where(Person.user_id == BOSS.chat_id).values(data_key=b"of another key" * 4))
    heard = rooms.heard(who="别人")
    with capture_logs() as logs:
        assert alarm(rooms, office, heard.conversation_id, tier=3) == {"telegram"}
    assert len(owed_to(rooms, COLLEAGUE)) == 2
    assert ("alert_lost", "admin_unreadable") in {(entry["event"], entry.get("reason")) for entry in logs}


def test_it_is_not_repeated_within_minutes_unless_the_danger_rises(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    assert alarm(rooms, office, conversation_id, tier=2)
    assert not alarm(rooms, office, conversation_id, tier=2)
    assert alarm(rooms, office, conversation_id, tier=3)
    assert alarm(rooms, office, conversation_id, tier=3, is_urgent=True)
    assert not alarm(rooms, office, conversation_id, tier=3, is_urgent=True)
    rooms.clock.tick(601)
    assert alarm(rooms, office, conversation_id, tier=2)
    assert alarm(rooms, office, rooms.heard(who="别人").conversation_id, tier=2)


def test_who_muted_alerts_is_spared_until_they_ask_again(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    alarm(rooms, office, conversation_id, tier=2)
    owed_to(rooms, BOSS)
    with rooms.database.begin() as session:
        alerts.mute(session, BOSS, by=Actor.at(BOSS), now=rooms.clock())
        assert alerts.listeners(session, office) == [COLLEAGUE]
    alarm(rooms, office, conversation_id, tier=3)
    assert owed_to(rooms, BOSS) == []
    assert len(owed_to(rooms, COLLEAGUE)) == 2
    with rooms.database.begin() as session:
        alerts.unmute(session, BOSS, by=Actor.at(BOSS), now=rooms.clock())
    assert alarm(rooms, office, rooms.heard(who="别人").conversation_id, tier=2)
    assert len(owed_to(rooms, BOSS)) == 1


def test_an_alert_whose_courier_died_is_sent_again(rooms: Rooms, office: Office) -> None:
    alarm(rooms, office, rooms.heard().conversation_id, tier=3)
    from dialogue.core import claiming

    with rooms.database.begin() as session:
        claiming.claim_due(session, rooms.keys, "telegram", owner=ME, lease_seconds=1, limit=9, now=rooms.clock())
    rooms.clock.tick(2)
    rooms.sweep()
    states = {delivery.state for delivery in rooms.deliveries() if delivery.kind is DeliveryKind.ALERT}
    assert states == {DeliveryState.PENDING}


@pytest.mark.parametrize("admins", [()])
def test_without_admins_nothing_is_owed(rooms: Rooms, office: Office, admins: tuple[()]) -> None:
    alone = Office(keys=office.keys, texts=office.texts, admins=admins)
    assert not alarm(rooms, alone, rooms.heard().conversation_id, tier=3)
    assert rooms.deliveries() == []
