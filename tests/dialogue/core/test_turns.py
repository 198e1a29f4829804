from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from dialogue.core import turns
from dialogue.core.history import PastTurn
from dialogue.states import DeliveryKind, DeliveryState, TurnState
from tests.builders import APOLOGY, Rooms, message

ME, OTHER = uuid4(), uuid4()


def test_a_message_delivered_three_times_opens_one_turn(rooms: Rooms) -> None:
    update = message(external_id="42")
    first, second, third = (rooms.receive(update) for _ in range(3))
    assert first is not None
    assert (second, third) == (None, None)
    assert rooms.claimed(first.conversation_id, owner=ME).text == "你好"


def test_the_same_external_id_on_another_account_is_another_message(rooms: Rooms) -> None:
    from dataclasses import replace

    assert rooms.receive(message(external_id="42")) is not None
    assert rooms.receive(replace(message(external_id="42"), account="second bot")) is not None


def test_messages_that_arrive_while_a_turn_waits_join_it(rooms: Rooms) -> None:
    first, second = rooms.heard("我睡不着"), rooms.heard("已经一个月了")
    assert first.is_new_turn
    assert not second.is_new_turn
    assert first.turn_id == second.turn_id
    assert rooms.claimed(first.conversation_id, owner=ME).text == "我睡不着\n已经一个月了"


def test_messages_that_arrive_while_a_turn_is_generated_open_the_next(rooms: Rooms) -> None:
    first = rooms.heard("一")
    rooms.claimed(first.conversation_id, owner=ME)
    second, third = rooms.heard("二"), rooms.heard("三")
    assert first.turn_id != second.turn_id
    assert second.turn_id == third.turn_id


def test_a_turn_is_claimed_by_one_worker_only(rooms: Rooms) -> None:
    received = rooms.heard()
    assert rooms.claim(received.conversation_id, owner=ME) is not None
    assert rooms.claim(received.conversation_id, owner=OTHER) is None


def test_of_twenty_workers_that_come_at_once_one_gets_the_turn(rooms: Rooms) -> None:
    received = rooms.heard()
    with ThreadPoolExecutor(20) as pool:
        claims = list(pool.map(lambda _: rooms.claim(received.conversation_id), range(20)))
    assert sum(claim is not None for claim in claims) == 1


def test_messages_that_come_at_once_share_one_turn_and_one_conversation(rooms: Rooms) -> None:
    with ThreadPoolExecutor(10) as pool:
        received = list(pool.map(lambda number: rooms.heard(f"第{number}句"), range(30)))
    assert len({one.conversation_id for one in received}) == 1
    assert len({one.turn_id for one in received}) == 1
    assert len(rooms.claimed(received[0].conversation_id, owner=ME).text.splitlines()) == 30


def test_a_later_turn_waits_for_the_earlier_one(rooms: Rooms) -> None:
    first = rooms.heard("一")
    turn = rooms.claimed(first.conversation_id, owner=ME)
    rooms.heard("二")
    assert rooms.claim(first.conversation_id, owner=OTHER) is None
    rooms.complete(turn, owner=ME)
    assert rooms.claimed(first.conversation_id, owner=OTHER).text == "二"


def test_a_dead_workers_turn_goes_to_another_when_its_lease_ends(rooms: Rooms) -> None:
    received = rooms.heard()
    rooms.claimed(received.conversation_id, owner=ME)
    rooms.clock.tick(19)
    assert rooms.claim(received.conversation_id, owner=OTHER) is None
    rooms.clock.tick(1)
    taken = rooms.claimed(received.conversation_id, owner=OTHER)
    assert (taken.id, taken.attempt) == (received.turn_id, 2)


def test_a_lease_that_is_extended_holds(rooms: Rooms) -> None:
    received = rooms.heard()
    turn = rooms.claimed(received.conversation_id, owner=ME)
    rooms.clock.tick(15)
    with rooms.database.begin() as session:
        held = turns.extend(session, [turn.id, uuid4()], owner=ME, until=rooms.clock() + timedelta(seconds=20))
    assert held == {turn.id}
    rooms.clock.tick(15)
    assert rooms.claim(received.conversation_id, owner=OTHER) is None


def test_a_worker_that_lost_its_lease_can_neither_extend_nor_answer(rooms: Rooms) -> None:
    received = rooms.heard()
    late = rooms.claimed(received.conversation_id, owner=ME)
    rooms.clock.tick(30)
    current = rooms.claimed(received.conversation_id, owner=OTHER)
    with rooms.database.begin() as session:
        assert turns.extend(session, [late.id], owner=ME, until=rooms.clock()) == set()
    assert rooms.complete(late, "太晚了", owner=ME) is None
    assert rooms.complete(current, "我在", owner=OTHER) is not None
    assert [text.text for text in rooms.due(owner=ME)] == ["我在"]


def test_a_turn_is_completed_once_and_owes_one_delivery(rooms: Rooms) -> None:
    received = rooms.heard()
    turn = rooms.claimed(received.conversation_id, owner=ME)
    assert rooms.complete(turn, owner=ME) is not None
    assert rooms.complete(turn, owner=ME) is None
    (delivery,) = rooms.deliveries()
    assert (delivery.turn_id, delivery.kind, delivery.state) == (turn.id, DeliveryKind.REPLY, DeliveryState.PENDING)
    stored = rooms.turn(turn.id)
    assert (stored.state, stored.prompt_tokens, stored.reply_tokens) == (TurnState.ANSWERED, 3, 2)


def test_a_reply_that_ends_after_the_conversation_is_discarded(rooms: Rooms) -> None:
    received = rooms.heard("一")
    turn = rooms.claimed(received.conversation_id, owner=ME)
    assert rooms.reset(received.conversation_id) == [turn.id]
    assert rooms.complete(turn, owner=ME) is None
    assert rooms.turn(turn.id).state is TurnState.DISCARDED
    assert rooms.deliveries() == []


def test_a_reply_of_the_old_epoch_never_reaches_the_new_one(rooms: Rooms) -> None:
    received = rooms.heard("旧")
    turn = rooms.claimed(received.conversation_id, owner=ME)
    rooms.reset(received.conversation_id)
    fresh = rooms.heard("新")
    assert fresh.conversation_id != received.conversation_id
    assert rooms.conversation(fresh.conversation_id).epoch == 2
    assert rooms.complete(turn, owner=ME) is None
    new_turn = rooms.claimed(fresh.conversation_id, owner=ME)
    assert (new_turn.text, new_turn.history) == ("新", [])


def test_a_reset_takes_back_what_is_owed_but_not_yet_sent(rooms: Rooms) -> None:
    received = rooms.answered("一", "答一")
    rooms.reset(received.conversation_id)
    assert rooms.due(owner=ME) == []
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.DISCARDED]


def test_the_history_holds_answered_turns_in_order(rooms: Rooms) -> None:
    rooms.answered("一", "答一")
    received = rooms.answered("二", "答二")
    rooms.heard("三")
    turn = rooms.claimed(received.conversation_id, owner=ME)
    assert turn.history == [PastTurn("一", "答一"), PastTurn("二", "答二")]


def test_a_long_history_is_read_by_its_first_and_its_last_turns(rooms: Rooms) -> None:
    for number in range(8):
        received = rooms.answered(f"问{number}", f"答{number}")
    rooms.heard("现在")
    turn = rooms.claim(received.conversation_id, owner=ME, max_turns=4)
    assert turn is not None
    assert [past.text for past in turn.history] == ["问0", "问5", "问6", "问7"]


def test_a_failed_turn_is_told_to_the_person_and_left_out_of_the_history(rooms: Rooms) -> None:
    received = rooms.heard("一")
    turn = rooms.claimed(received.conversation_id, owner=ME)
    with rooms.database.begin() as session:
        turns.fail(session, turn, APOLOGY, error="EngineFailed", owner=ME, now=rooms.clock())
    assert [text.text for text in rooms.due(owner=ME)] == [APOLOGY]
    rooms.heard("二")
    assert rooms.claimed(received.conversation_id, owner=ME).history == []


def test_a_turn_that_is_given_back_is_free_at_once_and_the_try_does_not_count(rooms: Rooms) -> None:
    received = rooms.heard()
    turn = rooms.claimed(received.conversation_id, owner=ME)
    with rooms.database.begin() as session:
        turns.give_back(session, turn.id, owner=ME, now=rooms.clock())
    assert rooms.sweep().conversation_ids == [received.conversation_id]
    assert rooms.claimed(received.conversation_id, owner=OTHER).attempt == 1


def test_a_message_during_a_turn_that_was_given_back_waits_its_turn(rooms: Rooms) -> None:
    received = rooms.heard("一")
    turn = rooms.claimed(received.conversation_id, owner=ME)
    rooms.heard("二")
    with rooms.database.begin() as session:
        turns.give_back(session, turn.id, owner=ME, now=rooms.clock())
    again = rooms.claimed(received.conversation_id, owner=OTHER)
    assert again.text == "一"
    rooms.complete(again, owner=OTHER)
    assert rooms.claimed(received.conversation_id, owner=OTHER).text == "二"


def test_people_never_share_words(rooms: Rooms) -> None:
    one, two = rooms.heard("王的话", who="小王"), rooms.heard("李的话", who="小李")
    assert one.conversation_id != two.conversation_id
    assert rooms.claimed(one.conversation_id, owner=ME).text == "王的话"
    assert rooms.claimed(two.conversation_id, owner=ME).text == "李的话"
