"""General replies of our own: which kind of message gets which, and what they never do."""

import json
from pathlib import Path

import pytest

from care.guard import guard
from care.hotlines import directory
from worker.engine.port import Exchange
from worker.retrieval.general import GeneralReplies, has_its_own, kinds, kinds_of, without_quotes
from worker.retrieval.quoting import clause, person
from worker.retrieval.rarity import RUN, runs

_CONVERSATIONS = [
    json.loads(line)["says"]
    for path in sorted((Path(__file__).parents[3] / "bench").glob("*conversations.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]


def reply_to(text: str, history: list[Exchange] | None = None, *, seed: int = 0) -> str:
    return next(GeneralReplies(seed).possible(history or [], text))


def held(says: list[str]) -> list[Exchange]:
    """The conversation in which only general replies are given."""
    exchanges: list[Exchange] = []
    for text in says:
        exchanges.append(Exchange(text, reply_to(text, exchanges)))
    return exchanges


def test_the_guard_stops_no_sentence() -> None:
    checked = guard(directory())
    for kind in kinds():
        for sentence in kind.replies:
            said = sentence.format(quote="心里很乱", person="妈妈")
            assert not checked.judge(said, is_finished=True, said="心里很乱").is_blocked, said


def test_the_guard_stops_no_reply_with_what_it_takes_up() -> None:
    checked = guard(directory())
    for says in _CONVERSATIONS:
        for text, reply in held(says):
            assert not checked.judge(reply, is_finished=True, said=text).is_blocked, reply


def test_no_two_sentences_share_six_characters() -> None:
    seen: dict[str, str] = {}
    for sentence in (sentence for kind in kinds() for sentence in kind.replies):
        for run in runs(sentence, RUN):
            assert seen.setdefault(run, sentence) == sentence


def test_nothing_is_said_twice_in_a_conversation() -> None:
    for says in [*_CONVERSATIONS, ["嗯", "不知道", "我好累", "怎么办？", "……"] * 3]:
        given = [without_quotes(reply) for _, reply in held(says)]
        assert len(set(given)) == len(given)


def test_when_all_is_said_the_longest_ago_comes_again() -> None:
    given = [reply for _, reply in held(["🙂"] * 7)]
    assert given[3:6] == given[:3]
    assert given[6] == given[0]


def test_the_same_conversation_gets_the_same_and_another_seed_something_else() -> None:
    says = ["我好累", "不知道", "我很难过"]
    assert held(says) == held(says)
    assert len({reply_to("我好累", seed=seed) for seed in range(10)}) > 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("你好", "greeting"),
        ("谢谢你", "thanks"),
        ("我先去睡了，晚安", "farewell"),
        ("你是真人吗？", "who_we_are"),
        ("你懂什么", "cross_with_us"),
        ("跟你说有什么用", "cross_with_us"),
        ("我可以停药吗？", "medical"),
        ("抑郁症会遗传吗", "medical"),
        ("房东这样违法吗？", "law"),
        ("咨询一次多少钱", "fact"),
        ("我是不是有病？", "self_doubt"),
        ("我该去吗？", "decision"),
        ("我该怎么拒绝？", "advice"),
        ("你喜欢什么季节？", "our_tastes"),
        ("你还记得我的猫叫什么吗？", "memory"),
        ("嗯", "answers_yes"),
        ("不知道", "does_not_know"),
        ("算了，不说了", "pulls_back"),
        ("我老公昨天又动手打我了", "violence"),
        ("我爷爷前天夜里走了", "loss"),
        ("我好怕", "afraid"),
        ("我一直很自责", "guilty"),
        ("……", "silent"),
        ("🙂", "silent"),
        ("I cannot sleep", "not_chinese"),
        ("昨天下雨了", "opening"),
    ],
)
def test_a_message_is_met_as_what_it_is(said: str, kind: str) -> None:
    assert kinds_of([], said)[0].name == kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("他打我的电话我没接", "violence"),
        ("组里走了两个人", "loss"),
        ("我累死了", "loss"),
        ("她说谢谢他的帮助", "thanks"),
        ("我不怕", "afraid"),
        ("我爸会气疯的", "angry"),
        ("高兴不起来", "glad"),
    ],
)
def test_a_message_is_not_met_as_what_it_only_sounds_like(said: str, kind: str) -> None:
    assert kind not in {one.name for one in kinds_of([], said)}


@pytest.mark.parametrize("said", ["我可以停药吗？", "这样违法吗？", "我是不是一个坏妈妈？", "你是真人吗？", "谢谢你"])
def test_questions_of_fact_and_courtesies_are_not_answered_by_published_words(said: str) -> None:
    assert has_its_own([], said)


def test_after_violence_its_replies_go_on() -> None:
    history = [Exchange("我老公打我", "你现在安全吗？")]
    assert kinds_of(history, "我妈说忍一忍")[0].name == "violence"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("我想去找领导说清楚，又怕显得小气", "怕显得小气"),
        ("可是我做不到", "我做不到"),
        ("他们叫我肥猪", None),
        ("我想死", None),
        ("这是为什么呢？", None),
        ("嗯", None),
        ("这是一个太长太长太长而且没有停顿的句子所以不能重复", None),
    ],
)
def test_a_clause_is_repeated_word_for_word_or_not_at_all(text: str, found: str | None) -> None:
    assert clause(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("我妈又骂我", "妈妈"), ("老公下班就打游戏", "老公"), ("老公的女儿不喜欢我", None), ("她妈妈来了", None)],
)
def test_only_the_persons_own_people_are_taken_up(text: str, found: str | None) -> None:
    assert person(text) == found
