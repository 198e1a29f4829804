"""One person may have chats with several of our accounts on a channel; rows from before accounts belong to them all."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from dialogue.core import claiming, conversations, feedback, outbox, people
from dialogue.messages import Address, InboundMessage
from dialogue.states import DeliveryKind
from dialogue.tables import CONVERSATIONS, Conversation
from tests.builders import CHANNEL, Rooms, message

OWNER = uuid4()


def at(account: str) -> Address:
    return Address(channel=CHANNEL, account=account, chat_id="小王")


def to(account: str, text: str = "你好") -> InboundMessage:
    return replace(message(text), address=at(account))


def received(rooms: Rooms, account: str) -> UUID:
    answer = rooms.receive(to(account))
    assert answer is not None
    return answer.conversation_id


def owe(rooms: Rooms, account: str, text: str, *, kind: DeliveryKind = DeliveryKind.NOTICE) -> None:
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id="小王", now=rooms.clock())
        outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=at(account),
            text=text,
            kind=kind,
            conversation_id=None,
            now=rooms.clock(),
        )


def claim(rooms: Rooms, *accounts: str) -> list[tuple[str, str]]:
    with rooms.database.begin() as session:
        claimed = claiming.claim_due(
            session,
            rooms.keys,
            CHANNEL,
            owner=OWNER,
            lease_seconds=60,
            limit=10,
            now=rooms.clock(),
            accounts=accounts or None,
        )
    return [(text.address.account, text.text) for text in claimed]


def test_one_person_holds_a_conversation_with_each_account(rooms: Rooms) -> None:
    north, south = received(rooms, "north"), received(rooms, "south")
    assert north != south
    assert received(rooms, "north") == north
    with rooms.database.read() as session:
        people_of_both = set(session.scalars(select(Conversation.person_id)))
    assert len(people_of_both) == 1


def test_the_reply_goes_out_by_the_account_that_was_written_to(rooms: Rooms) -> None:
    conversation_id = received(rooms, "north")
    rooms.complete(rooms.claimed(conversation_id, owner=OWNER), owner=OWNER)
    assert claim(rooms) == [("north", "我在听")]


def test_a_conversation_from_before_accounts_goes_on_at_the_account_that_is_written_to(rooms: Rooms) -> None:
    before = received(rooms, "")
    assert received(rooms, "north") == before
    assert rooms.conversation(before).account == "north"
    assert received(rooms, "south") != before


def test_a_conversation_of_the_account_is_found_before_one_from_before_accounts(rooms: Rooms) -> None:
    north = received(rooms, "north")
    before = received(rooms, "")
    assert before != north
    with rooms.database.read() as session:
        assert conversations.find_open(session, at("north")) == north


def test_two_open_conversations_at_one_address_are_impossible(rooms: Rooms) -> None:
    conversation = rooms.conversation(received(rooms, "north"))
    twin = {
        column: getattr(conversation, column) for column in ("person_id", "channel", "account", "chat_id", "opened_at")
    }
    with pytest.raises(IntegrityError), rooms.database.begin() as session:
        session.execute(CONVERSATIONS.insert().values(id=uuid4(), epoch=2, tier=0, **twin))


def test_a_courier_of_some_accounts_leaves_the_others_texts(rooms: Rooms) -> None:
    owe(rooms, "north", "北")
    owe(rooms, "south", "南")
    assert claim(rooms, "south") == [("south", "南")]
    assert claim(rooms, "south") == []
    assert claim(rooms) == [("north", "北")]


def test_what_was_owed_before_accounts_is_sent_by_any_of_them_and_in_order(rooms: Rooms) -> None:
    owe(rooms, "", "旧")
    owe(rooms, "north", "新")
    assert claim(rooms, "north") == [("", "旧")]


def test_one_account_does_not_hold_up_another_in_the_same_chat(rooms: Rooms) -> None:
    owe(rooms, "north", "一")
    owe(rooms, "south", "二")
    assert claim(rooms) == [("north", "一"), ("south", "二")]


def test_a_reply_is_rated_where_it_was_read(rooms: Rooms) -> None:
    conversation_id = received(rooms, "north")
    turn = rooms.claimed(conversation_id, owner=OWNER)
    rooms.complete(turn, owner=OWNER)
    rooms.mark_sent(rooms.due(owner=OWNER)[0], owner=OWNER)
    with rooms.database.read() as session:
        assert feedback.latest_reply(session, at("north")) == turn.id
        assert feedback.latest_reply(session, at("south")) is None
