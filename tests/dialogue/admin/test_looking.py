from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from dialogue.admin import find, listing, overview, record
from dialogue.admin.listing import ConversationStatus, Wanted
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover import take_over
from dialogue.errors import Ambiguous, NoSuchConversation, NoSuchPerson
from dialogue.tables import CONVERSATIONS
from tests.builders import Rooms

ME = UUID(int=1)


def ids(rooms: Rooms, wanted: Wanted | None = None) -> list[UUID]:
    with rooms.database.read() as session:
        return [shown.id for shown in listing.page(session, wanted or Wanted()).conversations]


def set_tier(rooms: Rooms, conversation_id: UUID, tier: int) -> None:
    with rooms.database.begin() as session:
        session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(tier=tier))


@pytest.fixture
def four(rooms: Rooms, office: Office, boss: Actor) -> list[UUID]:
    """Answered, waiting, closed, taken over; an hour between each."""
    made = []
    for number in range(4):
        who = f"人{number}"
        made.append((rooms.answered if number == 0 else rooms.heard)("你好", *["嗯"] * (number == 0), who=who))
        rooms.clock.tick(3600)
    rooms.reset(made[2].conversation_id)
    with rooms.database.begin() as session:
        take_over(session, office, made[3].conversation_id, by=boss, now=rooms.clock())
    return [heard.conversation_id for heard in made]


def test_the_newest_come_first_in_pages_without_a_gap(rooms: Rooms, four: list[UUID]) -> None:
    assert ids(rooms) == four[::-1]
    seen, after = [], None
    with rooms.database.read() as session:
        while True:
            page = listing.page(session, Wanted(), after=after, limit=3)
            seen += [shown.id for shown in page.conversations]
            if (after := page.next) is None:
                break
    assert seen == four[::-1]


def test_each_filter_finds_its_own(rooms: Rooms, four: list[UUID]) -> None:
    answered, waiting, closed, taken = four
    set_tier(rooms, closed, 2)
    assert ids(rooms, Wanted(standing=ConversationStatus.OPEN)) == [taken, waiting, answered]
    assert ids(rooms, Wanted(standing=ConversationStatus.WAITING)) == [waiting]
    assert ids(rooms, Wanted(standing=ConversationStatus.CLOSED)) == [closed]
    assert ids(rooms, Wanted(standing=ConversationStatus.TAKEN_OVER)) == [taken]
    assert ids(rooms, Wanted(min_tier=1)) == [closed]
    assert ids(rooms, Wanted(min_tier=3)) == []
    assert ids(rooms, Wanted(channel="wechat")) == []
    assert ids(rooms, Wanted(channel="test", min_tier=2)) == [closed]
    began_at = rooms.conversation(waiting).opened_at
    assert ids(rooms, Wanted(opened_from=began_at, opened_before=began_at + timedelta(hours=2))) == [closed, waiting]
    assert ids(rooms, Wanted(person_id=rooms.conversation(taken).person_id)) == [taken]


def test_a_line_tells_how_a_conversation_stands(rooms: Rooms, four: list[UUID]) -> None:
    with rooms.database.read() as session:
        lines = {line.id: line for line in listing.page(session, Wanted()).conversations}
    assert [lines[one].standing for one in four] == [
        ConversationStatus.OPEN,
        ConversationStatus.WAITING,
        ConversationStatus.CLOSED,
        ConversationStatus.TAKEN_OVER,
    ]
    assert lines[four[0]].turn_count == 1
    assert lines[four[0]].user_id == "人0"
    assert lines[four[3]].taken_over_by == "telegram:1"


def test_those_at_risk_come_first_in_the_list_for_the_chat(rooms: Rooms, four: list[UUID]) -> None:
    set_tier(rooms, four[0], 3)
    set_tier(rooms, four[1], 2)
    with rooms.database.read() as session:
        assert [line.id for line in listing.by_risk(session)] == [four[0], four[1], four[3]]


def test_the_overview_counts_what_waits_what_is_owed_and_what_failed(rooms: Rooms, four: list[UUID]) -> None:
    set_tier(rooms, four[1], 3)
    with rooms.database.read() as session:
        now = overview.overview(session, now=rooms.clock())
    assert (now.waiting_count, now.generating_count) == (1, 0)
    assert now.oldest_waiting_at == rooms.conversation(four[1]).opened_at
    assert now.owed_count == 3  # a reply, the announcement, what was relayed
    assert now.open_by_tier == {0: 2, 3: 1}
    assert (now.open_count, now.taken_over_count, now.failed_turn_count, now.failed_delivery_count) == (3, 1, 0, 0)
    with rooms.database.begin() as session:
        from dialogue.core import claiming, sending

        for owed in claiming.claim_due(
            session, rooms.keys, "test", owner=ME, lease_seconds=60, limit=9, now=rooms.clock()
        ):
            sending.mark_failed(session, owed.id, owner=ME, error="forbidden")
        assert overview.overview(session, now=rooms.clock()).failed_delivery_count == 2
        assert overview.overview(session, now=rooms.clock() + timedelta(days=2)).failed_delivery_count == 0


def test_a_record_tells_of_turns_deliveries_and_what_was_done_without_a_text(rooms: Rooms, four: list[UUID]) -> None:
    with rooms.database.read() as session:
        shown = record.show(session, four[0])
        (turn,) = shown.turns
        (delivery,) = shown.deliveries
        assert (turn.state, turn.reply_tokens, delivery.turn_id) == ("answered", 2, turn.id)
        assert [entry.action for entry in record.show(session, four[3]).entries] == ["take_over"]
        with pytest.raises(NoSuchConversation):
            record.show(session, ME)


def test_the_beginning_of_an_id_finds_a_conversation_if_it_is_the_only_one(rooms: Rooms, four: list[UUID]) -> None:
    with rooms.database.read() as session:
        shorts = find.short_ids(session, four)
        for conversation_id, short in shorts.items():
            assert len(short) >= 8
            assert find.conversation(session, short) == conversation_id
            assert find.conversation(session, str(conversation_id).upper()) == conversation_id
        with pytest.raises(Ambiguous) as several:
            find.conversation(session, four[0].hex[:6])
        assert [find.conversation(session, one) for one in several.value.candidates] == four
        for nothing in ("0000", "xyz", "", "%", four[0].hex + "0"):
            with pytest.raises(NoSuchConversation):
                find.conversation(session, nothing)


def test_a_person_is_found_by_account_by_conversation_and_by_id(rooms: Rooms, four: list[UUID]) -> None:
    person_id = rooms.conversation(four[1]).person_id
    with rooms.database.read() as session:
        assert find.person(session, "test:人1") == person_id
        assert find.person(session, four[1].hex) == person_id
        assert find.person(session, person_id.hex) == person_id
        for nobody in ("test:没有", "0000", ""):
            with pytest.raises(NoSuchPerson):
                find.person(session, nobody)
