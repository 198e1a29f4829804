from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from dialogue.admin import audit, find, steering
from dialogue.admin.office import Actor, Office
from dialogue.core import sending
from dialogue.errors import ConversationClosed, NoSuchConversation, NoSuchPerson, NotFailed, ReasonTooLong
from dialogue.states import ClosedBy, DeliveryState, TurnState
from dialogue.tables import Conversation, Person
from tests.builders import Rooms

ME = UUID(int=1)


def reset(rooms: Rooms, office: Office, conversation_id: UUID, by: Actor, reason: str | None = None) -> None:
    with rooms.database.begin() as session:
        steering.reset(session, office, conversation_id, by=by, reason=reason, now=rooms.clock())


def person_of(rooms: Rooms, who: str) -> Person:
    with rooms.database.read() as session:
        return session.scalars(select(Person).where(Person.user_id == who)).one()


def test_a_reset_cancels_what_is_being_generated_and_says_who_did_it_and_why(
    rooms: Rooms, office: Office, boss: Actor
) -> None:
    heard = rooms.heard()
    turn = rooms.claimed(heard.conversation_id, owner=ME)
    reset(rooms, office, heard.conversation_id, boss, "测试")
    assert rooms.announced.cancelled_turn_ids == {turn.id}
    assert rooms.complete(turn, owner=ME) is None
    assert rooms.conversation(heard.conversation_id).closed_by is ClosedBy.ADMIN
    with rooms.database.read() as session:
        (entry,) = audit.entries(session, conversation_id=heard.conversation_id)
    assert (entry.actor, entry.action, entry.reason) == ("telegram:1", "reset", "测试")
    assert entry.person_id == rooms.conversation(heard.conversation_id).person_id


def test_after_a_reset_the_next_message_begins_another_conversation(rooms: Rooms, office: Office, boss: Actor) -> None:
    first = rooms.heard().conversation_id
    reset(rooms, office, first, boss)
    assert rooms.conversation(rooms.heard().conversation_id).epoch == 2


def test_what_has_ended_cannot_be_reset_again(rooms: Rooms, office: Office, boss: Actor) -> None:
    heard = rooms.heard()
    reset(rooms, office, heard.conversation_id, boss)
    with pytest.raises(ConversationClosed):
        reset(rooms, office, heard.conversation_id, boss)
    with pytest.raises(NoSuchConversation):
        reset(rooms, office, uuid4(), boss)


def test_a_reason_that_cannot_be_kept_changes_nothing(rooms: Rooms, office: Office, boss: Actor) -> None:
    heard = rooms.heard()
    with pytest.raises(ReasonTooLong):
        reset(rooms, office, heard.conversation_id, boss, "长" * 256)
    assert rooms.conversation(heard.conversation_id).closed_at is None


def test_closing_tells_the_person(rooms: Rooms, office: Office, boss: Actor) -> None:
    heard = rooms.heard()
    with rooms.database.begin() as session:
        steering.close(session, office, heard.conversation_id, by=boss, now=rooms.clock())
    assert rooms.announced.owed_channels == {"test"}
    (words,) = rooms.due(owner=ME)
    assert words.text == office.texts.say("admin_closed")
    assert rooms.turn(heard.turn_id).state is TurnState.DISCARDED


def test_resetting_a_person_ends_whatever_they_hold(rooms: Rooms, office: Office, boss: Actor) -> None:
    mine, other = rooms.heard(who="小王"), rooms.heard(who="小李")
    with rooms.database.begin() as session:
        person_id = find.person(session, "test:小王")
        steering.reset_person(session, office, person_id, by=boss, now=rooms.clock())
        with pytest.raises(NoSuchPerson):
            steering.reset_person(session, office, uuid4(), by=boss, now=rooms.clock())
    assert rooms.conversation(mine.conversation_id).closed_at is not None
    assert rooms.conversation(other.conversation_id).closed_at is None


def test_blocking_ends_their_conversation_once_and_unblocking_lets_them_in(
    rooms: Rooms, office: Office, boss: Actor
) -> None:
    heard = rooms.heard()
    person_id = person_of(rooms, "小王").id
    with rooms.database.begin() as session:
        steering.block(session, office, person_id, by=boss, now=rooms.clock())
        steering.block(session, office, person_id, by=boss, now=rooms.clock())
    assert rooms.announced.cancelled_turn_ids == {heard.turn_id}
    assert person_of(rooms, "小王").blocked_at == rooms.clock()
    assert rooms.conversation(heard.conversation_id).closed_at is not None
    with rooms.database.begin() as session:
        steering.unblock(session, person_id, by=boss, now=rooms.clock())
        steering.unblock(session, person_id, by=boss, now=rooms.clock())
    assert person_of(rooms, "小王").blocked_at is None
    with rooms.database.read() as session:
        actions = [entry.action for entry in audit.entries(session, person_id=person_id)]
    assert actions == ["unblock", "reset", "block"]


def test_a_failed_delivery_is_owed_again_and_no_other_is(rooms: Rooms, office: Office, boss: Actor) -> None:
    rooms.answered("你好", "我在听")
    (owed,) = rooms.due(owner=ME)
    with rooms.database.begin() as session:
        with pytest.raises(NotFailed):
            steering.resend(session, owed.id, by=boss, now=rooms.clock())
        sending.mark_failed(session, owed.id, owner=ME, error="forbidden")
        rooms.announced.clear()
        steering.resend(session, owed.id, by=boss, now=rooms.clock())
    assert rooms.announced.owed_channels == {"test"}
    (again,) = rooms.due(owner=ME)
    assert (again.id, again.text, again.attempt) == (owed.id, "我在听", 1)
    assert rooms.deliveries()[0].state is DeliveryState.SENDING


def test_closed_conversations_hold_no_open_turn(rooms: Rooms, office: Office, boss: Actor) -> None:
    for number in range(3):
        reset(rooms, office, rooms.heard(who=f"人{number}").conversation_id, boss)
    with rooms.database.read() as session:
        assert session.scalars(select(Conversation.id).where(Conversation.closed_at.is_(None))).all() == []
    assert rooms.sweep().conversation_ids == []
