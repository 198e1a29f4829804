from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import update

from dialogue.admin import alerts, audit, notes, takeover, takeover_timeout
from dialogue.admin.cases import handling, open_cases
from dialogue.admin.cases.open_cases import DutyCase
from dialogue.admin.cases.opening import open_case
from dialogue.admin.office import Actor, Office
from dialogue.errors import CaseClosed, CaseTaken, EmptyMessage, Erased
from dialogue.rights import erasure
from dialogue.states import CaseKind, CaseOutcome, ClosedBy
from dialogue.tables import CONVERSATIONS, PERSON_NOTES
from dialogue.upkeep.housekeeper import Housekeeper
from tests.builders import Rooms

LIN, FANG = Actor(name="console:lin"), Actor(name="console:fang")


def alarm(rooms: Rooms, office: Office, conversation_id: UUID, *, tier: int = 2, is_urgent: bool = False) -> None:
    with rooms.database.begin() as session:
        alerts.alarm(session, office, conversation_id, tier=tier, is_urgent=is_urgent, now=rooms.clock())


def cases(rooms: Rooms) -> list[DutyCase]:
    with rooms.database.read() as session:
        return open_cases.open_cases(session)


def only(rooms: Rooms) -> DutyCase:
    (case,) = cases(rooms)
    return case


def unattended(rooms: Rooms) -> tuple[int, int]:
    with rooms.database.read() as session:
        found = open_cases.unattended(session, minutes=5, now=rooms.clock())
    return found.count, found.overdue_count


def take(rooms: Rooms, case_id: UUID, by: Actor, *, instead_of: str | None = None) -> None:
    with rooms.database.begin() as session:
        handling.take(session, case_id, by=by, instead_of=instead_of, now=rooms.clock())


def audited(rooms: Rooms) -> list[tuple[str, str, str | None]]:
    """Who did what, and why: the oldest first."""
    with rooms.database.read() as session:
        found = audit.entries(session)
    return [(one.actor, one.action, one.reason) for one in reversed(found) if one.action.startswith("case_")]


def test_danger_opens_a_case_and_more_of_it_joins_the_same(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    alarm(rooms, office, conversation_id)
    first = only(rooms)
    assert (first.kind, first.level, first.conversation_id) == (CaseKind.DANGER, 2, conversation_id)
    rooms.clock.tick(60)
    alarm(rooms, office, conversation_id, tier=3, is_urgent=True)
    risen = only(rooms)
    assert (risen.id, risen.level, risen.raise_count) == (first.id, 4, 2)
    assert risen.waits_since == first.waits_since
    assert [action for _, action, _ in audited(rooms)] == ["case_opened", "case_raised"]


def test_another_conversation_of_the_same_person_is_the_same_case(rooms: Rooms, office: Office) -> None:
    first = rooms.heard().conversation_id
    alarm(rooms, office, first)
    rooms.reset(first)
    second = rooms.heard().conversation_id
    alarm(rooms, office, second)
    assert only(rooms).conversation_id == second


def test_the_desk_shows_whom_nobody_attends_to_first_by_danger_and_by_time(rooms: Rooms, office: Office) -> None:
    for who, tier in (("甲", 2), ("乙", 3), ("丙", 3), ("丁", 3)):
        alarm(rooms, office, rooms.heard(who=who).conversation_id, tier=tier)
        rooms.clock.tick(30)
    grave = next(case for case in cases(rooms) if case.user_id == "乙")
    take(rooms, grave.id, LIN)
    assert [case.user_id for case in cases(rooms)] == ["丙", "丁", "甲", "乙"]


def test_it_is_overdue_until_somebody_takes_it_and_a_look_alone_is_no_help(rooms: Rooms, office: Office) -> None:
    alarm(rooms, office, rooms.heard().conversation_id)
    assert unattended(rooms) == (1, 0)
    with rooms.database.begin() as session:
        handling.see(session, only(rooms).id, by=LIN, now=rooms.clock())
    rooms.clock.tick(301)
    assert unattended(rooms) == (1, 1)
    assert only(rooms).seen_by == LIN.name
    take(rooms, only(rooms).id, LIN)
    assert unattended(rooms) == (0, 0)
    assert audited(rooms)[-2:] == [(LIN.name, "case_seen", None), (LIN.name, "case_taken", None)]


def test_a_colleagues_case_is_taken_knowingly_only(rooms: Rooms, office: Office) -> None:
    alarm(rooms, office, rooms.heard().conversation_id)
    case_id = only(rooms).id
    take(rooms, case_id, LIN)
    with pytest.raises(CaseTaken):
        take(rooms, case_id, FANG)
    take(rooms, case_id, FANG, instead_of=LIN.name)
    assert only(rooms).taken_by == FANG.name
    assert audited(rooms)[-1] == (FANG.name, "case_taken", "from console:lin")


def test_who_gets_it_handed_has_to_look(rooms: Rooms, office: Office) -> None:
    alarm(rooms, office, rooms.heard().conversation_id)
    case = only(rooms)
    take(rooms, case.id, LIN)
    with rooms.database.begin() as session:
        handling.hand_to(session, office, case.id, to=FANG.name, note="她在家，母亲在旁边", by=LIN, now=rooms.clock())
    assert unattended(rooms) == (1, 0)
    with rooms.database.begin() as session:
        assert notes.read(session, office, case.person_id, by=FANG, now=rooms.clock()).handover == "她在家，母亲在旁边"
        handling.see(session, case.id, by=LIN, now=rooms.clock())
    assert unattended(rooms) == (1, 0)
    with rooms.database.begin() as session:
        handling.see(session, case.id, by=FANG, now=rooms.clock())
    assert unattended(rooms) == (0, 0)


def test_danger_that_is_told_again_calls_whoever_has_the_case(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    alarm(rooms, office, conversation_id)
    take(rooms, only(rooms).id, LIN)
    alarm(rooms, office, conversation_id, tier=3)
    assert unattended(rooms) == (1, 0)
    with rooms.database.begin() as session:
        handling.see_conversation(session, conversation_id, by=LIN, now=rooms.clock())
    assert unattended(rooms) == (0, 0)


def test_a_takeover_takes_the_case_and_a_forgotten_one_gives_it_back(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    alarm(rooms, office, conversation_id)
    with rooms.database.begin() as session:
        takeover.take_over(session, office, conversation_id, by=LIN, now=rooms.clock())
    assert (only(rooms).taken_by, unattended(rooms)) == (LIN.name, (0, 0))
    with rooms.database.begin() as session:
        takeover_timeout.give_back(session, office, conversation_id, minutes=20, now=rooms.clock())
    assert (only(rooms).taken_by, unattended(rooms)) == (None, (1, 0))


def test_it_ends_with_an_outcome_and_a_note_that_only_the_key_opens(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    alarm(rooms, office, conversation_id)
    case = only(rooms)
    with rooms.database.begin() as session:
        close = partial(handling.close, session, office, case.id, outcome=CaseOutcome.SPOKE, by=LIN, now=rooms.clock())
        with pytest.raises(EmptyMessage):
            close(note=" ")
        close(note="已通话，今晚和母亲在一起")
    assert cases(rooms) == []
    assert unattended(rooms) == (0, 0)
    with rooms.database.begin() as session:
        assert handling.note_of(session, office, case.id) == "已通话，今晚和母亲在一起"
        with pytest.raises(CaseClosed):
            handling.take(session, case.id, by=FANG, now=rooms.clock())
    assert audited(rooms)[-1] == (LIN.name, "case_closed", "spoke")
    alarm(rooms, office, conversation_id)  # at once, although it was alarmed about minutes ago
    assert only(rooms).id != case.id


def test_what_was_written_goes_with_the_person(rooms: Rooms, office: Office) -> None:
    alarm(rooms, office, rooms.heard().conversation_id)
    case = only(rooms)
    with rooms.database.begin() as session:
        notes.keep_private(session, office, case.person_id, "只给自己看", by=LIN, now=rooms.clock())
        notes.hand_over(session, office, case.person_id, "给下一班", by=LIN, now=rooms.clock())
        assert notes.read(session, office, case.person_id, by=FANG, now=rooms.clock()).private == ""
        assert notes.read(session, office, case.person_id, by=LIN, now=rooms.clock()).private == "只给自己看"
    with rooms.database.begin() as session:
        erasure.erase(session, case.person_id, by=ClosedBy.PERSON, actor="person", farewell_to=None, now=rooms.clock())
    with rooms.database.begin() as session:
        assert session.execute(PERSON_NOTES.select()).all() == []
        with pytest.raises(Erased):
            notes.keep_private(session, office, case.person_id, "更多", by=LIN, now=rooms.clock())
    assert only(rooms).is_erased  # somebody must still know of it, and close it
    with rooms.database.begin() as session:
        handling.close(
            session, office, case.id, outcome=CaseOutcome.UNREACHED, note="已删除", by=LIN, now=rooms.clock()
        )
        assert handling.note_of(session, office, case.id) is None


def test_an_admin_who_is_not_reached_and_asks_for_help_has_two_cases(rooms: Rooms, office: Office) -> None:
    heard = rooms.heard()
    alarm(rooms, office, heard.conversation_id)
    person_id = only(rooms).person_id
    with rooms.database.begin() as session:
        for _ in range(2):
            open_case(
                session,
                office,
                kind=CaseKind.UNREACHABLE_ADMIN,
                person_id=person_id,
                conversation_id=None,
                level=2,
                now=rooms.clock(),
            )
    assert {case.kind for case in cases(rooms)} == {CaseKind.DANGER, CaseKind.UNREACHABLE_ADMIN}


def test_somebody_at_risk_without_a_case_is_unattended_too(rooms: Rooms) -> None:
    conversation_id = rooms.heard().conversation_id
    with rooms.database.begin() as session:
        session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(tier=3))
    assert unattended(rooms) == (1, 0)
    rooms.clock.now += timedelta(minutes=6)
    assert unattended(rooms) == (1, 1)


def test_notes_end_with_the_retention_of_what_they_are_about(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    alarm(rooms, office, conversation_id)
    case = only(rooms)
    with rooms.database.begin() as session:
        notes.hand_over(session, office, case.person_id, "给下一班", by=LIN, now=rooms.clock())
        handling.close(session, office, case.id, outcome=CaseOutcome.SPOKE, note="已通话", by=LIN, now=rooms.clock())
    rooms.clock.now += timedelta(days=31)
    keeper = Housekeeper(database=rooms.database, retention_days=30, clock=rooms.clock)
    keeper.keep()  # the case's note goes, the conversation ends by its silence
    with rooms.database.begin() as session:
        assert handling.note_of(session, office, case.id) is None
        assert notes.read(session, office, case.person_id, by=FANG, now=rooms.clock()).handover == "给下一班"
    rooms.clock.now += timedelta(days=31)
    keeper.keep()
    keeper.keep()
    with rooms.database.read() as session:
        assert session.execute(PERSON_NOTES.select()).all() == []
