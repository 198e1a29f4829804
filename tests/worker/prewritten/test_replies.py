"""Replies written beforehand: what each kind of message is met with, and what never happens in a conversation."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from care.guard import guard
from care.hotlines import directory
from worker.engine.port import Exchange
from worker.prewritten.quoting import clause, person
from worker.prewritten.replies import PrewrittenReplies
from worker.prewritten.script import script

_CONVERSATIONS = [
    json.loads(line)["says"]
    for path in sorted((Path(__file__).parents[3] / "bench").glob("*conversations.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
_GUARD = guard(directory())
_SLOTS = {
    "quote": "心里很乱",
    "earlier": "心里很乱",
    "who": "妈妈",
    "first": "“我很累”",
    "told": "“我很累”",
    "try": "先喝口热水。",
}


def held(says: Sequence[str], *, seed: int = 0) -> list[Exchange]:
    """The whole conversation."""
    replies = PrewrittenReplies(_GUARD, seed=seed)
    exchanges: list[Exchange] = []
    for text in says:
        exchanges.append(Exchange(text, replies.reply_to(exchanges, text)))
    return exchanges


def last(*says: str) -> str:
    """The reply to the last of these messages."""
    return held(says)[-1].reply


def one_of(reply: str, name: str) -> bool:
    """Whether a reply is one of the file's for that kind of message."""
    (kind,) = (one for one in script().replies if one.name == name)
    return reply in {said.format(**_SLOTS) for said in kind.says}


def has_reaction(reply: str, name: str) -> bool:
    """Whether it has one of the file's reactions of that name."""
    (kind,) = (one for one in script().reactions if one.name == name)
    return any(said.partition("{quote}")[2] in reply if "{quote}" in said else said in reply for said in kind.says)


def test_the_guard_stops_no_sentence() -> None:
    stopped = [
        said
        for said in script().sentences()
        if _GUARD.judge(said.format(**_SLOTS), is_finished=True, said="心里很乱").is_blocked
    ]
    assert not stopped


def test_what_the_guard_would_stop_is_not_said_back() -> None:
    for says in _CONVERSATIONS:
        for text, reply in held(says):
            assert not _GUARD.judge(reply, is_finished=True, said=text).is_blocked, reply


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_asked_twice_in_a_conversation(seed: int) -> None:
    for says in _CONVERSATIONS:
        asked = [name for _, reply in held(says, seed=seed) if (name := script().asked_in(reply))]
        assert len(set(asked)) == len(asked)


def test_nothing_is_said_twice_in_a_conversation() -> None:
    for says in [*_CONVERSATIONS, ["嗯", "不知道", "我好累", "怎么办？", "……"] * 2]:
        given = [reply for _, reply in held(says)]
        assert len(set(given)) == len(given)


def test_when_all_is_said_the_longest_ago_comes_again() -> None:
    given = [reply for _, reply in held(["🙂"] * 30)]
    assert given[-1] in given[:-1]
    assert given[-1] != given[-2]


def test_the_same_conversation_gets_the_same_and_another_seed_something_else() -> None:
    says = ["我好累", "不知道", "我很难过"]
    assert held(says) == held(says)
    assert len({held(["我好累"], seed=seed)[0].reply for seed in range(10)}) > 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("你好", "greeting"),
        ("谢谢你", "thanks"),
        ("我先去睡了，晚安", "good_night"),
        ("谢谢，我先走了", "thanks_and_goodbye"),
        ("我去上课了", "farewell"),
        ("你是真人吗？", "who_we_are"),
        ("你是gpt吗", "who_we_are"),
        ("你有感情吗", "our_inner_life"),
        ("你懂什么", "cross_with_us"),
        ("你能不能说句人话", "cross_with_us"),
        ("别再问我了", "no_more_questions"),
        ("有用吗 跟你说这些", "does_it_help"),
        ("我可以停药吗？", "medicine"),
        ("能不能自己先减半？", "medicine"),
        ("这个会一直这样吗？", "how_long_will_it_last"),
        ("咨询一次多少钱", "fact"),
        ("我是不是做错了", "is_it_my_fault"),
        ("我是不是不值得被爱？", "am_i_worth_it"),
        ("测试一下", "trying_us"),
        ("给我讲个笑话", "joke"),
        ("算了，不说了", "pulls_back"),
        ("我老公昨天又动手打我了", "violence"),
    ],
)
def test_a_direct_message_gets_a_direct_reply(said: str, kind: str) -> None:
    assert one_of(last(said), kind)


@pytest.mark.parametrize(
    ("said", "reaction"),
    [
        ("我妈偷看我日记", "read_my_diary"),
        ("我爷爷前天夜里走了", "died"),
        ("我妈说不就是一条狗嘛", "only_a_dog"),
        ("今天被裁员了", "fired"),
        ("我今天拿到驾照了！", "passed"),
        ("我想离婚，又怕伤害女儿", "torn"),
    ],
)
def test_what_happened_is_taken_up(said: str, reaction: str) -> None:
    assert has_reaction(last(said), reaction)


@pytest.mark.parametrize(
    ("said", "reaction"),
    [
        ("他打我的电话我没接", "died"),
        ("我累死了", "died"),
        ("她升职了", "passed"),
        ("我爸妈要离婚了", "removed_and_left"),
        ("我以为自己要死了", "died"),
    ],
)
def test_what_only_sounds_alike_is_not(said: str, reaction: str) -> None:
    assert not has_reaction(last(said), reaction)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("你说我要不要去问她", "no_more_questions"),
        ("社区叫我去唱歌", "joke"),
        ("要不要告诉他", "law"),
        ("随便问问，你几岁了", "pulls_back"),
        ("他让我别问了，你说呢", "greeting"),
    ],
)
def test_a_message_that_only_sounds_direct_is_not_met_so(said: str, kind: str) -> None:
    assert not one_of(last(said), kind)


def test_the_number_of_a_call_is_no_violence() -> None:
    assert not one_of(last("他打我的电话我没接"), "violence")


def test_after_violence_its_replies_go_on() -> None:
    assert one_of(last("我老公打我", "我妈说忍一忍"), "violence")


@pytest.mark.parametrize(("answer", "kind"), [("没有", "no"), ("嗯", "yes"), ("不知道", "unsure")])
def test_a_short_answer_is_heard_as_one_to_what_was_asked(answer: str, kind: str) -> None:
    history = [Exchange("我和同事吵架了", "那一下一定很难压住。有同事懂你这份难吗？")]
    assert script().asked_in(history[0].reply) == "someone"
    reply = PrewrittenReplies(_GUARD).reply_to(history, answer)
    assert reply.startswith(tuple(script().questions["someone"].after[kind]))


def test_what_was_told_is_not_asked() -> None:
    says = ["我失眠三个月了", "没敢跟家里说", "嗯", "脑子停不下来", "嗯", "还是睡不着"]
    asked = {script().asked_in(reply) for _, reply in held(says)}
    assert not {"since", "someone"} & asked


def test_a_conversation_stays_with_what_it_is_about() -> None:
    history = held(["我家老头子走了三个月了", "孩子们都忙"])
    assert any(history[-1].reply.endswith(asked) for asked in _asks("loss"))


def test_who_wants_no_more_questions_gets_none() -> None:
    replies = [reply for _, reply in held(["我好累", "别再问了", "我老公什么都不管", "孩子哭了一夜"])]
    assert not any("？" in reply for reply in replies[1:])


def test_after_two_questions_one_reply_asks_nothing() -> None:
    for says in _CONVERSATIONS[:10]:
        asks = [script().asked_in(reply) is not None for _, reply in held(says)]
        assert asks.count(True) < len(asks)


def test_what_to_do_is_answered_with_a_small_thing() -> None:
    (panic,) = (topic for topic in script().topics if topic.name == "panic")
    assert any(tried in last("我心跳好快，喘不上气", "怎么办") for tried in panic.tries)


def test_it_tells_what_was_said_before() -> None:
    assert "“我的猫叫豆包”" in last("我的猫叫豆包", "它很乖", "你还记得我的猫叫什么吗？")
    assert "“测试一下”" in last("测试一下", "1+1等于几", "我第一句说的是什么")


def test_traditional_characters_are_read_and_answered_alike() -> None:
    assert "豆漿" in last("早上還給我買了豆漿")
    first = last("這幾天我壓力很大")
    assert last("這幾天我壓力很大", "這幾天我壓力很大") != first


@pytest.mark.parametrize("said", ["我的猫死了", "我好怕", "嗯", "🙂"])
def test_replies_to_avoid_are_never_given(said: str) -> None:
    replies = PrewrittenReplies(_GUARD)
    avoided: list[str] = []
    for _ in range(4):
        avoided.append(replies.reply_to([], said, avoided=avoided))
    assert len(set(avoided)) == len(avoided)


@pytest.mark.parametrize("said", ["", "？？？", "🙂", "I cannot sleep", "asdf", "{quote}", "我" * 5000])
def test_any_message_is_answered(said: str) -> None:
    assert last(said)


def test_other_languages_are_told_so() -> None:
    assert "Chinese" in last("I cannot sleep")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("早上还给我买了豆浆", "早上还给你买了豆浆"),
        ("我妈偷看我日记", "你妈妈偷看你日记"),
        ("我们从小一起玩的", "你们从小一起玩的"),
        ("可是我做不到", "你做不到"),
        ("他们叫我肥猪", None),
        ("我想死", None),
        ("这是为什么呢？", None),
        ("嗯", None),
        ("这是一个太长太长太长而且没有停顿的句子所以不能重复", None),
    ],
)
def test_a_clause_is_said_back_to_the_person_or_not_at_all(text: str, found: str | None) -> None:
    assert clause(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("我妈又骂我", "妈妈"), ("老公下班就打游戏", "老公"), ("老公的女儿不喜欢我", None), ("她妈妈来了", None)],
)
def test_only_the_persons_own_people_are_taken_up(text: str, found: str | None) -> None:
    assert person(text) == found


def test_every_question_of_a_topic_is_known_and_every_slot_can_be_filled() -> None:
    assert {name for topic in script().topics for name in topic.asks} <= set(script().questions)
    for said in script().sentences():
        assert said.format(**_SLOTS)


def _asks(name: str) -> list[str]:
    (topic,) = (topic for topic in script().topics if topic.name == name)
    return [asked for variants in topic.asks.values() for asked in variants]


@pytest.mark.parametrize("how", ["肺癌", "查出来就是晚期了", "在医院住了三个月", "胃癌，才五十二"])
def test_after_a_death_an_illness_is_how_they_died(how: str) -> None:
    talk = held(["我爸上个月去世了", how, "嗯"])
    assert has_reaction(talk[1].reply, "died_of_it")
    assert not has_reaction(talk[1].reply, "ill")
    assert not any(asked in one.reply for one in talk for asked in ("分担", "替你半天", "放不下的是什么"))


@pytest.mark.parametrize("how", ["车祸", "心梗，一下子就没了", "脑溢血，谁也没想到"])
def test_a_sudden_death_was_sudden(how: str) -> None:
    assert has_reaction(last("我爸走了", how), "died_suddenly")


def test_an_illness_of_somebody_who_lives_is_an_illness() -> None:
    assert has_reaction(last("我爸查出肺癌了"), "ill")
