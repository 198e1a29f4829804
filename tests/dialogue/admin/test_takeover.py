from uuid import UUID

import pytest

from dialogue.admin import audit, steering, takeover
from dialogue.admin.office import Actor, Office
from dialogue.admin.record import TranscriptSpeaker, transcript
from dialogue.core import claiming, sending
from dialogue.errors import AlreadyHeld, ConversationClosed, EmptyMessage, HeldByAnother, NotTakenOver
from dialogue.messages import Address, OwedText
from dialogue.states import DeliveryKind, TurnState
from dialogue.storage.ids import new_id
from tests.builders import Rooms

ME = UUID(int=1)


def take(rooms: Rooms, office: Office, conversation_id: UUID, by: Actor) -> None:
    with rooms.database.begin() as session:
        takeover.take_over(session, office, conversation_id, by=by, now=rooms.clock())


def say(rooms: Rooms, office: Office, conversation_id: UUID, text: str, by: Actor) -> None:
    with rooms.database.begin() as session:
        takeover.say(session, office, conversation_id, text, by=by, max_length=100, now=rooms.clock())


def release(rooms: Rooms, office: Office, conversation_id: UUID, by: Actor) -> None:
    with rooms.database.begin() as session:
        takeover.release(session, office, conversation_id, by=by, now=rooms.clock())


def owed_to(rooms: Rooms, address: Address) -> list[OwedText]:
    texts: list[OwedText] = []
    with rooms.database.begin() as session:
        while claimed := claiming.claim_due(
            session, rooms.keys, address.channel, owner=ME, lease_seconds=60, limit=9, now=rooms.clock(),
            chat_id=address.chat_id,
        ):  # fmt: skip
            texts += claimed
            for one in claimed:
                sending.mark_sent(session, one.id, owner=ME, platform_message_id=f"p{one.id}", now=rooms.clock())
    return texts


PERSON = Address(channel="test", chat_id="小王")


def test_the_person_is_told_and_the_model_is_silenced_and_what_waited_is_relayed(
    rooms: Rooms, office: Office, boss: Actor
) -> None:
    heard = rooms.heard("我睡不着")
    turn = rooms.claimed(heard.conversation_id, owner=ME)
    with rooms.database.begin() as session:
        takeover.take_over(session, office, heard.conversation_id, by=boss, now=rooms.clock())
    assert rooms.announced.cancelled_turn_ids == {turn.id}
    assert rooms.announced.owed_channels == {"test", "telegram"}
    assert rooms.complete(turn, owner=ME) is None
    assert [text.text for text in owed_to(rooms, PERSON)] == [office.texts.say("takeover_begins")]
    assert boss.address is not None
    (relayed,) = owed_to(rooms, boss.address)
    assert relayed.kind is DeliveryKind.RELAY
    assert relayed.text.endswith("\n我睡不着")


def test_a_humans_words_reach_the_person_labelled_and_stand_so_in_the_transcript(
    rooms: Rooms, office: Office, boss: Actor
) -> None:
    conversation_id = rooms.answered("你好", "我在听").conversation_id
    take(rooms, office, conversation_id, boss)
    say(rooms, office, conversation_id, " 我是李老师 ", boss)
    assert owed_to(rooms, PERSON)[-1].text == "【真人咨询师】我是李老师"
    with rooms.database.begin() as session:
        lines = transcript(session, office, conversation_id, by=boss, reason="督导", now=rooms.clock())
    assert [(line.speaker, line.text) for line in lines] == [
        (TranscriptSpeaker.PERSON, "你好"),
        (TranscriptSpeaker.MODEL, "我在听"),
        (TranscriptSpeaker.BOT, office.texts.say("takeover_begins")),
        (TranscriptSpeaker.HUMAN, "【真人咨询师】我是李老师"),
    ]
    with rooms.database.read() as session:
        entries = audit.entries(session, conversation_id=conversation_id)
    assert [entry.action for entry in entries] == ["read", "say", "take_over"]


def test_only_the_holder_speaks_and_only_one_holds(rooms: Rooms, office: Office, boss: Actor, colleague: Actor) -> None:
    conversation_id = rooms.heard().conversation_id
    with pytest.raises(NotTakenOver):
        say(rooms, office, conversation_id, "在", boss)
    with pytest.raises(NotTakenOver):
        release(rooms, office, conversation_id, boss)
    take(rooms, office, conversation_id, boss)
    with pytest.raises(AlreadyHeld):
        take(rooms, office, conversation_id, boss)
    with pytest.raises(HeldByAnother, match="telegram:1"):
        take(rooms, office, conversation_id, colleague)
    with pytest.raises(HeldByAnother):
        say(rooms, office, conversation_id, "在", colleague)
    with pytest.raises(EmptyMessage):
        say(rooms, office, conversation_id, " ", boss)


def test_a_release_by_a_colleague_is_told_to_both_sides(
    rooms: Rooms, office: Office, boss: Actor, colleague: Actor
) -> None:
    conversation_id = rooms.heard().conversation_id
    take(rooms, office, conversation_id, boss)
    release(rooms, office, conversation_id, colleague)
    assert owed_to(rooms, PERSON)[-1].text == office.texts.say("takeover_ends")
    assert boss.address is not None
    assert "接手已经结束" in owed_to(rooms, boss.address)[-1].text
    with rooms.database.read() as session:
        assert takeover.held_by(session, boss.name) == []
    assert rooms.turn(rooms.heard("又来了").turn_id).state is TurnState.WAITING


def test_a_reset_ends_a_takeover_and_tells_both(rooms: Rooms, office: Office, boss: Actor, colleague: Actor) -> None:
    conversation_id = rooms.heard().conversation_id
    take(rooms, office, conversation_id, boss)
    with rooms.database.begin() as session:
        assert takeover.held_by(session, boss.name) == [conversation_id]
        steering.reset(session, office, conversation_id, by=colleague, now=rooms.clock())
    assert owed_to(rooms, PERSON)[-1].text == office.texts.say("takeover_ends")
    with pytest.raises(ConversationClosed):
        say(rooms, office, conversation_id, "在", boss)


def test_a_reply_to_a_relayed_message_is_known_by_its_message(rooms: Rooms, office: Office, boss: Actor) -> None:
    conversation_id = rooms.heard().conversation_id
    take(rooms, office, conversation_id, boss)
    assert boss.address is not None
    (relayed,) = owed_to(rooms, boss.address)
    with rooms.database.read() as session:
        assert takeover.answered_conversation(session, boss.address, f"p{relayed.id}") == conversation_id
        assert takeover.answered_conversation(session, boss.address, "other") is None
        assert takeover.answered_conversation(session, PERSON, f"p{relayed.id}") is None


def test_who_holds_without_a_chat_of_their_own_gets_no_relay(rooms: Rooms, office: Office) -> None:
    conversation_id = rooms.heard().conversation_id
    take(rooms, office, conversation_id, Actor(name="staff:anna"))
    say(rooms, office, conversation_id, "在", Actor(name="staff:anna"))
    release(rooms, office, conversation_id, Actor(name="staff:ben"))
    assert {delivery.channel for delivery in rooms.deliveries()} == {"test"}


def test_words_that_are_sent_twice_by_one_form_are_said_once(rooms: Rooms, office: Office, boss: Actor) -> None:
    conversation_id, once = rooms.heard().conversation_id, new_id()
    take(rooms, office, conversation_id, boss)
    for _ in range(2):
        with rooms.database.begin() as session:
            takeover.say(
                session, office, conversation_id, "我在", by=boss, max_length=100, once=once, now=rooms.clock()
            )
    assert [text.text for text in owed_to(rooms, PERSON) if text.kind is DeliveryKind.HUMAN] == [
        office.texts.say("takeover_label") + "我在"
    ]
