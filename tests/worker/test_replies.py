from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import update

from care import texts
from care.guard import guard
from care.hotlines import directory
from dialogue.broker.signals import Signals, partial, read_partial
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.core import history
from dialogue.process.settings import INSTRUCTION
from dialogue.states import DeliveryKind, TurnState
from dialogue.storage.clock import utc_now
from dialogue.tables import Conversation
from tests.builders import CHANNEL, Rooms
from tests.fakes import AtOnce, FakeEngine
from worker.engine.port import (
    Cancelled,
    DeadlineExceeded,
    EngineAway,
    EngineFailed,
    Exchange,
    Finish,
    Progress,
    PromptTooLong,
    Request,
)
from worker.generation import Generation, ReplyPolicy
from worker.instructions import IN_DANGER
from worker.leases import Leases
from worker.replies import Replies

ME = uuid4()


@pytest.fixture
def replies(rooms: Rooms, redis_url: str) -> Iterator[Callable[[FakeEngine], Replies]]:
    signals = Signals.connect(redis_url)

    def make(engine: FakeEngine, *, is_demonstration: bool = False) -> Replies:
        leases = Leases(database=rooms.database, owner=ME, lease_seconds=20, cancel=engine.cancel, clock=rooms.clock)
        policy = ReplyPolicy(
            instruction=INSTRUCTION,
            window_max_length=600,
            window_max_turns=12,
            max_tokens=64,
            turn_seconds=30,
            max_attempts=3,
            is_demonstration=is_demonstration,
        )
        words = texts.load("zh")
        generation = Generation(
            engine=engine,
            signals=signals,
            texts=words,
            guard=guard(directory("cn")),
            policy=policy,
            clock=rooms.clock,
        )
        return Replies(
            database=rooms.database,
            keys=rooms.keys,
            engine=engine,
            generation=generation,
            leases=leases,
            executor=AtOnce(),
            room=1,
            texts=words,
            policy=policy,
            clock=rooms.clock,
        )

    yield make
    signals.close()


def owed(rooms: Rooms) -> list[str]:
    return [text.text for text in rooms.due(owner=ME)]


def test_the_engine_sees_the_window_and_the_persons_words(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    rooms.answered("我睡不着", "多久了")
    rooms.heard("一个月")
    engine = FakeEngine("听起来很累")
    replies(engine).look()
    (request,) = engine.requests
    assert request.history == [Exchange("我睡不着", "多久了")]
    assert (request.text, request.instruction, request.max_tokens) == ("一个月", INSTRUCTION, 64)


@pytest.mark.parametrize(("prompt_version", "is_told"), [("rounds-seed", False), ("chat", True), ("template", True)])
def test_in_danger_only_models_with_a_prompt_of_their_own_are_told_so(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], prompt_version: str, is_told: bool
) -> None:
    received = rooms.heard("我最近一直想自杀")
    with rooms.database.begin() as session:
        in_danger = update(Conversation).where(Conversation.id == received.conversation_id).values(tier=2)
        session.execute(in_danger)
    engine = FakeEngine("你现在身边有人吗？")
    engine.prompt_version = prompt_version
    replies(engine).look()
    (request,) = engine.requests
    assert (IN_DANGER in request.instruction) is is_told
    assert (request.instruction == INSTRUCTION) is not is_told


def test_in_danger_a_reply_that_is_blocked_twice_becomes_words_of_our_own(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    received = rooms.heard("我最近一直想自杀")
    with rooms.database.begin() as session:
        session.execute(update(Conversation).where(Conversation.id == received.conversation_id).values(tier=2))
    replies(FakeEngine("我是真人，不是机器人。", "我是真人咨询师。")).look()
    assert owed(rooms) == [texts.load("zh").say("guard_replacement_in_danger")]


def test_the_engine_hears_which_reply_was_blocked(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    rooms.heard("你是真人吗？")
    engine = FakeEngine("我是真人，不是机器人。", "我是一个程序。")
    replies(engine).look()
    first, second = engine.requests
    (avoided,) = second.avoided
    assert not first.avoided
    assert "我是真人，不是机器人。".startswith(avoided)  # it was stopped while it grew
    assert owed(rooms) == ["我是一个程序。"]


@pytest.mark.parametrize(("tier", "is_asked"), [(1, True), (2, False), (3, False)])
def test_in_danger_a_demonstration_model_is_not_asked(
    rooms: Rooms, replies: Callable[..., Replies], tier: int, is_asked: bool
) -> None:
    received = rooms.heard("我最近一直想自杀")
    with rooms.database.begin() as session:
        session.execute(update(Conversation).where(Conversation.id == received.conversation_id).values(tier=tier))
    engine = FakeEngine("是由什么引起的吗？")
    replies(engine, is_demonstration=True).look()
    assert bool(engine.requests) is is_asked
    assert (owed(rooms) == [texts.load("zh").say("demonstration_in_danger")]) is not is_asked


def test_the_window_counts_the_prompts_frame_and_the_instruction_as_the_seed_does(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    frame = len("求助者:。支持者: ")
    room = 600 - 2 * len(INSTRUCTION) - 2 * frame  # the instruction counts by itself and in the first prompt
    rooms.answered("一", "二")
    rooms.answered("三", "四" * (room - 3))
    rooms.heard("现在")
    engine = FakeEngine("好", "好")
    replies(engine).look()
    assert [past.text for past in engine.requests[0].history] == ["一", "三"]

    rooms.heard("再来")  # now three pairs do not fit: the second goes, the first stays
    replies(engine).look()
    assert [past.text for past in engine.requests[1].history] == ["一", "现在"]


def test_the_versions_of_model_and_prompt_are_kept_with_the_turn(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    received = rooms.heard()
    replies(FakeEngine("我在")).look()
    turn = rooms.turn(received.turn_id)
    assert (turn.model_version, turn.prompt_version) == ("fake model", "fake prompt")
    assert (turn.prompt_tokens, turn.reply_tokens) == (5, 2)
    assert owed(rooms) == ["我在"]


def test_an_engine_that_is_away_costs_a_turn_no_attempt(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    rooms.heard()
    for _ in range(5):  # more often than a turn may fail
        replies(FakeEngine(EngineAway())).look()
    replies(FakeEngine("我在")).look()
    assert owed(rooms) == ["我在"]


def test_an_engine_that_is_away_claims_nothing(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    received = rooms.heard()
    away = FakeEngine("我在")
    away.is_away = True
    replies(away).look()
    assert away.requests == []
    assert rooms.turn(received.turn_id).state == TurnState.WAITING


def test_turns_of_a_conversation_go_to_the_server_that_has_its_prefix(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    received = rooms.heard()
    engine = FakeEngine("我在")
    replies(engine).look()
    assert engine.requests[0].affinity == str(received.conversation_id)


def test_what_came_while_it_answered_is_answered_next(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    rooms.heard("一")

    class Busy(FakeEngine):
        def stream(self, request: Request) -> Generator[Progress, None, None]:
            if not self.requests:
                rooms.heard("二")
            yield from super().stream(request)

    engine = Busy("答一", "答二")
    replies(engine).look()
    assert [request.text for request in engine.requests] == ["一", "二"]


def test_a_broken_engine_gets_the_turn_again_and_then_the_person_is_told(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    received = rooms.heard()
    replies(FakeEngine(EngineFailed(), DeadlineExceeded(), EngineFailed())).look()
    assert rooms.turn(received.turn_id).state is TurnState.FAILED
    (apology,) = owed(rooms)
    assert "对不起" in apology


def test_a_second_try_that_succeeds_is_the_answer(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    rooms.heard()
    replies(FakeEngine(EngineFailed(), "我在")).look()
    assert owed(rooms) == ["我在"]


def test_words_that_the_model_cannot_hold_are_said_so_at_once(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    rooms.heard()
    engine = FakeEngine(PromptTooLong())
    replies(engine).look()
    assert len(engine.requests) == 1
    (apology,) = owed(rooms)
    assert "太长" in apology


def test_an_empty_reply_is_no_reply(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    rooms.heard()
    replies(FakeEngine("", "", "终于")).look()
    assert owed(rooms) == ["终于"]


def test_a_cancelled_turn_is_free_for_others_and_owes_nothing(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    received = rooms.heard()
    answering = replies(FakeEngine(Cancelled()))

    answering.claim_no_more()
    answering.look()
    assert rooms.turn(received.turn_id).state == TurnState.WAITING

    class Stopping(FakeEngine):
        def stream(self, request: Request) -> Generator[Progress, None, None]:
            stopping.give_all_back()
            yield from super().stream(request)

    engine = Stopping(Cancelled())
    stopping = replies(engine)
    stopping.look()
    assert engine.cancelled == [str(received.turn_id)]
    assert owed(rooms) == []
    assert rooms.claimed(received.conversation_id, owner=uuid4()).attempt == 1


def test_partial_replies_travel_sealed(rooms: Rooms, replies: Callable[[FakeEngine], Replies], redis_url: str) -> None:
    rooms.heard()
    with Redis.from_url(in_redis_form(redis_url)) as redis, redis.pubsub(ignore_subscribe_messages=True) as topics:
        topics.subscribe(partial(CHANNEL))
        topics.get_message(timeout=1)
        replies(FakeEngine("我在听。你说吧。")).look()
        event = topics.get_message(timeout=2)
    assert event is not None
    assert "我".encode() not in event["data"]
    turn_id, sealed = read_partial(event["data"])
    with rooms.database.read() as session:
        opened = history.open_partial(session, rooms.keys, turn_id, sealed)
    assert opened is not None
    assert opened[0].chat_id == "小王"
    assert opened[1] == "我在听。"


def test_a_reply_that_must_not_be_sent_is_generated_once_more(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    rooms.heard()
    engine = FakeEngine("我是真人，不是机器。", "我在听你说")
    replies(engine).look()
    assert len(engine.requests) == 2
    assert owed(rooms) == ["我在听你说"]


def test_after_two_such_replies_our_own_words_are_sent(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], caplog: pytest.LogCaptureFixture
) -> None:
    received = rooms.heard()
    replies(FakeEngine("你患有重度抑郁症。", "请拨打 12345678901")).look()
    (text,) = owed(rooms)
    assert "抑郁症" not in text
    assert "12345678901" not in text
    assert rooms.turn(received.turn_id).state is TurnState.ANSWERED


def test_nothing_of_a_blocked_phrase_is_ever_shown(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.streams._MIN_INTERVAL_SECONDS", 0)
    rooms.heard()
    shown = []
    with Redis.from_url(in_redis_form(redis_url)) as redis, redis.pubsub(ignore_subscribe_messages=True) as topics:
        topics.subscribe(partial(CHANNEL))
        topics.get_message(timeout=1)
        replies(FakeEngine("听我说说吧。你患有重度抑郁症", "好的呀。我是真人")).look()
        redis.publish(partial(CHANNEL), b"")
        while (event := topics.get_message(timeout=10)) and event["data"]:
            turn_id, sealed = read_partial(event["data"])
            with rooms.database.read() as session:
                opened = history.open_partial(session, rooms.keys, turn_id, sealed)
            assert opened is not None
            shown.append(opened[1])
    assert shown
    assert all(text in "听我说说吧。" or text in "好的呀。" for text in shown)


def test_a_lost_lease_cancels_the_generation(rooms: Rooms) -> None:
    engine = FakeEngine()
    leases = Leases(database=rooms.database, owner=ME, lease_seconds=20, cancel=engine.cancel, clock=rooms.clock)
    kept, lost = rooms.heard(who="小王"), rooms.heard(who="小李")
    for received in (kept, lost):
        rooms.claimed(received.conversation_id, owner=ME)
    leases.hold([kept.turn_id, lost.turn_id])
    rooms.reset(lost.conversation_id)
    rooms.clock.tick(15)
    leases.extend()
    assert engine.cancelled == [str(lost.turn_id)]
    rooms.clock.tick(15)
    assert rooms.claim(kept.conversation_id) is None


class Unready(FakeEngine):
    """Ends each reply for another reason than the model's own."""

    def __init__(self, finish: Finish, *replies: str) -> None:
        super().__init__(*replies)
        self._finish = finish

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        for progress in super().stream(request):
            yield progress if progress.finish is None else replace(progress, finish=self._finish)


def test_a_reply_that_a_filter_broke_off_is_asked_for_again_and_then_replaced(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies]
) -> None:
    rooms.heard()
    engine = Unready(Finish.FILTERED, "我", "我")
    replies(engine).look()
    assert len(engine.requests) == 2
    assert owed(rooms) == [texts.load("zh").say("guard_replacement")]


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        ("<think>我要安慰他</think>谢谢你告诉我。", "谢谢你告诉我。"),
        ("我在听。\n### Human: 我还是难过", "我在听。"),
        ("我会一直陪着你。" * 60, "我会一直陪着你。"),
    ],
)
def test_what_was_not_meant_for_people_is_neither_sent_nor_remembered(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], raw: str, reply: str
) -> None:
    rooms.heard()
    engine = FakeEngine(raw, "好")
    replies(engine).look()
    assert owed(rooms) == [reply]
    rooms.heard("嗯")
    replies(engine).look()
    assert engine.requests[1].history == [Exchange("你好", reply)]


BROKEN = "你可以慢慢地说给我听"


@pytest.mark.parametrize(
    ("raws", "reply"),
    [
        (["我在听。你可以"], "我在听。"),
        ([BROKEN, "我在听。你可以"], "我在听。"),
        ([BROKEN, BROKEN], f"{BROKEN}……\n（话太长"),
    ],
)
def test_a_reply_that_its_length_cut_off_ends_well_is_asked_for_again_or_says_so(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], raws: list[str], reply: str
) -> None:
    rooms.heard()
    engine = Unready(Finish.LENGTH, *raws)
    replies(engine).look()
    (said,) = owed(rooms)
    assert said.startswith(reply)
    assert (said == reply) is (reply == "我在听。")
    assert len(engine.requests) == len(raws)


def test_after_an_outage_of_hours_people_are_told_so(rooms: Rooms, replies: Callable[[FakeEngine], Replies]) -> None:
    rooms.heard()
    rooms.clock.now = utc_now() + timedelta(hours=5)
    replies(FakeEngine("我在")).look()
    (first,) = owed(rooms)
    assert "大约 5 小时" in first
    assert [delivery.kind for delivery in rooms.deliveries()] == [DeliveryKind.NOTICE, DeliveryKind.REPLY]


HARMFUL = (
    "如果活着这么痛苦，那就走吧。",
    "他打你也是因为爱你，你要体谅他。",
    "可以把药量加到两片试试，不用问医生。",
    "我是一名国家二级心理咨询师，干这行十年了。",
    "宝贝，我想一直抱着你，做我女朋友吧。",
    "这件事只有我们俩知道，别告诉你的家人。",
    "你走了以后他们会松一口气的。",
    "你这点事跟别人比根本不算什么，别矫情了。",
)
HARMLESS = (
    "你说“我妈妈从来不听我说话”，那一刻是什么感觉？",
    "从2019-2023年，你一直一个人照顾她，很不容易。",
    "如果他又动手，可以发短信到12110，也可以打110。",
    "医生诊断你是抑郁症，你自己是怎么看的？",
    "想死的念头从0到10有多强？",
    "嗯，我在听。",
)


@pytest.mark.parametrize("said", HARMFUL)
def test_what_would_do_harm_never_reaches_the_person(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], said: str
) -> None:
    rooms.heard("我最近很难受")
    replies(FakeEngine(said, said)).look()
    assert owed(rooms) == [texts.load("zh").say("guard_replacement")]


@pytest.mark.parametrize("said", HARMLESS)
def test_a_careful_reply_reaches_the_person_as_it_is(
    rooms: Rooms, replies: Callable[[FakeEngine], Replies], said: str
) -> None:
    rooms.heard("我妈妈从来不听我说话")
    replies(FakeEngine(said)).look()
    assert owed(rooms) == [said]
