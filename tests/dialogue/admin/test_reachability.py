"""An admin who cannot be reached must not be the only one who is told."""

from sqlalchemy import select, update

from dialogue.admin import alerts, reachability
from dialogue.admin.office import Actor, Office
from dialogue.core import claiming, sending
from dialogue.messages import Address, OwedText
from dialogue.states import CaseKind
from dialogue.tables import CASES, PEOPLE
from tests.builders import Rooms
from tests.dialogue.admin.conftest import BOSS, COLLEAGUE
from tests.dialogue.admin.test_takeover import ME, owed_to


def alert(rooms: Rooms, office: Office) -> None:
    with rooms.database.begin() as session:
        alerts.alert(session, office, "有人处于危险之中", conversation_id=None, now=rooms.clock())


def refuse(rooms: Rooms, office: Office, admin: Address, reason: str = "forbidden") -> list[OwedText]:
    """As the courier does when the platform refuses what is owed to that admin."""
    with rooms.database.begin() as session:
        claimed = claiming.claim_due(
            session, rooms.keys, admin.channel, owner=ME, lease_seconds=60, limit=9, now=rooms.clock(),
            chat_id=admin.chat_id,
        )  # fmt: skip
        for one in claimed:
            sending.mark_failed(session, one.id, owner=ME, error=reason)
            reachability.pass_on(session, office, one, reason, now=rooms.clock())
    return claimed


def lost(rooms: Rooms, office: Office) -> list[tuple[str, str | None]]:
    with rooms.database.read() as session:
        return [(one.admin.chat_id, one.error) for one in reachability.lost(session, office)]


def test_an_alarm_that_does_not_arrive_goes_to_the_next_admin_with_the_reason(rooms: Rooms, office: Office) -> None:
    alert(rooms, office)
    assert len(owed_to(rooms, COLLEAGUE)) == 1
    assert lost(rooms, office) == []
    refuse(rooms, office, BOSS)
    (passed_on,) = owed_to(rooms, COLLEAGUE)
    assert "telegram:1（forbidden）" in passed_on.text
    assert "有人处于危险之中" in passed_on.text
    assert lost(rooms, office) == [("1", "forbidden")]
    with rooms.database.read() as session:
        assert session.scalars(select(CASES.c.kind)).all() == [CaseKind.UNREACHABLE_ADMIN]


def test_who_was_told_anyway_hears_of_a_lost_admin_once_in_a_spell(rooms: Rooms, office: Office) -> None:
    for _ in range(2):
        alert(rooms, office)
        refuse(rooms, office, BOSS)
    assert len([text for text in owed_to(rooms, COLLEAGUE) if "telegram:1" in text.text]) == 1
    alert(rooms, office)
    owed_to(rooms, BOSS)  # arrives: they unblocked the bot
    assert lost(rooms, office) == []
    alert(rooms, office)
    refuse(rooms, office, BOSS)
    assert len([text for text in owed_to(rooms, COLLEAGUE) if "telegram:1" in text.text]) == 1


def test_rather_somebody_who_muted_alarms_is_told_than_nobody(rooms: Rooms, office: Office) -> None:
    alert(rooms, office)
    owed_to(rooms, COLLEAGUE)
    with rooms.database.begin() as session:
        alerts.mute(session, COLLEAGUE, by=Actor.at(COLLEAGUE), now=rooms.clock())
    for _ in range(2):
        refuse(rooms, office, BOSS, "chat_not_found")
        assert "chat_not_found" in owed_to(rooms, COLLEAGUE)[0].text
        alert(rooms, office)


def test_when_nobody_can_be_reached_it_ends_and_is_reported(rooms: Rooms, office: Office) -> None:
    alert(rooms, office)
    for _ in range(3):
        refuse(rooms, office, BOSS)
        refuse(rooms, office, COLLEAGUE)
    assert refuse(rooms, office, BOSS) == refuse(rooms, office, COLLEAGUE) == []
    assert lost(rooms, office) == [("1", "forbidden"), ("2", "forbidden")]


def test_a_test_alarm_goes_to_everybody_and_its_fate_can_be_asked(rooms: Rooms, office: Office) -> None:
    with rooms.database.begin() as session:
        owed = reachability.test(session, office, now=rooms.clock())
        session.execute(update(PEOPLE).values(alerts_muted_at=rooms.clock()))
    assert [text.text[:6] for text in owed_to(rooms, BOSS)] == ["✓ 测试警报"]
    refuse(rooms, office, COLLEAGUE)
    with rooms.database.read() as session:
        outcomes = reachability.outcomes(session, list(owed.values()))
    assert [outcomes[owed[admin]] for admin in (BOSS, COLLEAGUE)] == [("sent", None), ("failed", "forbidden")]
