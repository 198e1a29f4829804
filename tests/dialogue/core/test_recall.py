"""Words that are taken back are erased and nobody answers them, wherever their turn stands."""

from uuid import uuid4

from sqlalchemy import select

from dialogue.core import intake, people
from dialogue.messages import InboundMessage
from dialogue.states import TurnState
from dialogue.tables import Message
from tests.builders import Rooms, message

ME = uuid4()


def recall(rooms: Rooms, inbound: InboundMessage) -> None:
    with rooms.database.begin() as session:
        person = people.locked(
            session, rooms.keys, channel=inbound.address.channel, user_id=inbound.user_id, now=rooms.clock()
        )
        intake.recall(session, person, inbound, external_id=inbound.external_id, now=rooms.clock())


def kept(rooms: Rooms) -> list[bool]:
    """Of each message, whether its words are kept."""
    with rooms.database.read() as session:
        return [text is not None for text in session.scalars(select(Message.text).order_by(Message.id))]


def test_words_that_wait_with_others_are_left_out(rooms: Rooms) -> None:
    rooms.receive(message("一"))
    rooms.receive(taken_back := message("收回"))
    recall(rooms, taken_back)
    (turn,) = rooms.claim_open(owner=ME)
    assert turn.text == "一"
    assert kept(rooms) == [True, False]


def test_a_reply_to_them_and_to_others_is_begun_anew(rooms: Rooms) -> None:
    rooms.receive(message("一"))
    rooms.receive(taken_back := message("收回"))
    (before,) = rooms.claim_open(owner=ME)
    recall(rooms, taken_back)
    assert rooms.complete(before, "收到：一 收回", owner=ME) is None
    assert rooms.turn(before.id).state is TurnState.DISCARDED
    (again,) = rooms.claim_open(owner=ME)
    assert again.text == "一"
    recall(rooms, taken_back)  # once more: the reply goes on
    assert rooms.complete(again, "收到：一", owner=ME) is not None


def test_a_reply_to_nothing_else_is_discarded(rooms: Rooms) -> None:
    rooms.receive(taken_back := message("收回"))
    (before,) = rooms.claim_open(owner=ME)
    recall(rooms, taken_back)
    assert rooms.complete(before, "收到：收回", owner=ME) is None
    assert rooms.claim_open(owner=ME) == []


def test_what_was_answered_stays_answered(rooms: Rooms) -> None:
    rooms.receive(taken_back := message("收回"))
    (turn,) = rooms.claim_open(owner=ME)
    assert rooms.complete(turn, "收到：收回", owner=ME) is not None
    recall(rooms, taken_back)
    assert rooms.turn(turn.id).state is TurnState.ANSWERED
    assert kept(rooms) == [False]
