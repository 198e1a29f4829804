"""People in danger are answered by us, at once, whatever the worker, the broker and the model do."""

import time
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from bot.services import BotServices
from dialogue.core import danger_course as danger
from dialogue.states import DeliveryKind, TurnState
from dialogue.tables import AuditEntry, Conversation, Turn
from tests.bot.inboxes import inbox_beside
from tests.bot.incoming.test_inbox import answers, rings
from tests.builders import Rooms, message

ME = UUID(int=2)
ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"
PASSIVE = "活着没意思"


@pytest.fixture
def rooms(services: BotServices) -> Rooms:
    return Rooms(services.database, services.keys)


def states(services: BotServices) -> list[TurnState]:
    with services.database.read() as session:
        return list(session.scalars(select(Turn.state).order_by(Turn.id)))


async def test_acute_danger_gets_our_words_and_not_the_models(services: BotServices, redis_url: str) -> None:
    receipt = await services.inbox.receive(message(ACUTE))
    assert receipt.turn_id is None
    assert rings(redis_url) == []
    (words,) = answers(services)
    assert "120" in words
    assert "程序" in words


async def test_it_is_answered_with_broker_and_worker_down_within_two_seconds(
    services: BotServices, tmp_path: Path
) -> None:
    nobody = f"redis+socket://{tmp_path}/nobody.sock"
    alone = inbox_beside(services, broker_url=nobody)
    began_at = time.monotonic()
    await alone.receive(message(ACUTE))
    assert "120" in answers(services)[0]
    assert time.monotonic() - began_at < 2


async def test_a_whole_course_is_answered_with_broker_worker_and_model_down(
    services: BotServices, tmp_path: Path
) -> None:
    alone = inbox_beside(services, broker_url=f"redis+socket://{tmp_path}/nobody.sock")
    said = (
        ACTIVE,
        "有",
        "今晚",
        "已经打了120",
        "有点晕",
        "室友在陪我",
        "你是真人吗",
        "转人工",
        "再见",
        "结束对话",
        "你好",
    )
    for text in said:
        began_at = time.monotonic()
        await alone.receive(message(text))
        assert time.monotonic() - began_at < 2
        assert answers(services), text


async def test_such_words_are_sent_at_least_once(services: BotServices, rooms: Rooms) -> None:
    await services.inbox.receive(message(ACUTE))
    assert [delivery.kind for delivery in rooms.deliveries()] == [DeliveryKind.CRISIS]


async def test_we_stay_in_the_conversation_and_never_repeat_ourselves(services: BotServices) -> None:
    for words in (ACUTE, "没有人在", "不知道", "嗯", "我不想打电话"):
        receipt = await services.inbox.receive(message(words))
        assert receipt.turn_id is None
    said = answers(services)
    assert len(said) == len(set(said)) == 5


async def test_what_the_model_was_about_to_say_is_taken_back(services: BotServices) -> None:
    heard = await services.inbox.receive(message("我睡不着"))
    receipt = await services.inbox.receive(message(ACUTE))
    assert receipt.cancelled_turn_ids == [heard.turn_id]
    assert states(services) == [TurnState.DISCARDED]
    assert receipt.conversation_id == heard.conversation_id


async def test_active_danger_gets_our_words_first_and_the_models_after(services: BotServices, rooms: Rooms) -> None:
    receipt = await services.inbox.receive(message(ACTIVE))
    assert receipt.conversation_id is not None
    (words,) = answers(services)
    assert "12356" in words
    assert rooms.claimed(receipt.conversation_id, owner=ME).text == ACTIVE


async def test_distress_adds_a_gentle_question_to_the_models_reply(services: BotServices, rooms: Rooms) -> None:
    receipt = await services.inbox.receive(message(PASSIVE))
    assert receipt.conversation_id is not None
    assert answers(services) == []
    rooms.complete(rooms.claimed(receipt.conversation_id, owner=ME), "我在听", owner=ME)
    (reply,) = answers(services)
    assert reply.startswith("我在听\n\n")
    assert "不想活" in reply
    await services.inbox.receive(message("嗯"))
    (exchange,) = rooms.claimed(receipt.conversation_id, owner=ME).history
    assert exchange.text == PASSIVE
    assert "不想活" in exchange.reply  # the model sees what was asked


async def test_the_tier_stays_with_the_person_when_the_conversation_ends(services: BotServices) -> None:
    await services.inbox.receive(message(ACUTE))
    for _ in range(3):
        await services.inbox.receive(message("哦"))
    with services.database.read() as session:
        assert session.scalars(select(Conversation.tier)).all() == [3]
    await services.inbox.receive(message("结束对话"))
    fresh = await services.inbox.receive(message("你好"))
    assert fresh.turn_id is None
    with services.database.read() as session:
        assert session.scalars(select(Conversation.tier)).all() == [3, 3]


async def test_an_alarm_is_left_for_the_admins_without_a_word_of_it(services: BotServices) -> None:
    await services.inbox.receive(message(ACUTE))
    with services.database.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == danger.ALARM))
    assert (entry.actor, entry.reason) == ("screening", "tier 3")


async def test_danger_in_a_message_that_is_too_long_is_answered_all_the_same(services: BotServices) -> None:
    await services.inbox.receive(message("长" * 200 + ACUTE))
    words, explanation = answers(services)
    assert "120" in words
    assert "个字" in explanation


@pytest.mark.parametrize("question", ["你是真人吗", "你是AI吗？", "你是机器人吗", "你是心理咨询师吗"])
async def test_who_answers_here_is_told_truthfully_and_without_the_model(
    services: BotServices, redis_url: str, question: str
) -> None:
    receipt = await services.inbox.receive(message(question))
    assert receipt.turn_id is None
    assert rings(redis_url) == []
    (truth,) = answers(services)
    assert "程序" in truth


async def test_in_acute_danger_the_truth_is_told_and_we_go_on_looking_after_the_person(services: BotServices) -> None:
    await services.inbox.receive(message(ACUTE))
    await services.inbox.receive(message("你是真人吗"))
    _, truth, next_step = answers(services)
    assert "不是真人" in truth
    assert next_step != truth


async def test_ordinary_words_go_to_the_model_alone(services: BotServices) -> None:
    receipt = await services.inbox.receive(message("今天笑死我了，工作累死了"))
    assert receipt.turn_id is not None
    assert receipt.answered_at_once is None
    assert answers(services) == []
