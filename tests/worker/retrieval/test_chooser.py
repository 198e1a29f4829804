"""Replies out of a collection: which one is given, and when none is."""

from pathlib import Path

import pytest

from worker.engine.port import Exchange
from worker.retrieval.chooser import Chooser, Likeness
from worker.retrieval.fit import WordsSoFar
from worker.retrieval.named import allowed, groups, named
from worker.retrieval.rarity import Rarity, counted


@pytest.fixture
def chooser(collection: Path) -> Chooser:
    return Chooser(collection)


@pytest.mark.parametrize(
    ("said", "reply"),
    [("我的猫死了", "失去猫一定让你很难过吧。"), ("和男朋友分手了", "分手对你来说一定很痛苦。")],
)
def test_the_reply_to_the_likest_message_is_given(chooser: Chooser, said: str, reply: str) -> None:
    assert chooser.reply_to([], said) == reply


def test_no_reply_is_given_twice_in_a_conversation(chooser: Chooser) -> None:
    first = chooser.reply_to([], "我失眠很久了")
    assert first is not None
    assert chooser.reply_to([Exchange("我失眠很久了", first)], "我失眠很久了") != first


def test_what_fits_too_little_is_left_to_the_model(collection: Path) -> None:
    strict = Chooser(collection, weights=Likeness(least=100))
    assert strict.reply_to([], "我失眠很久了") is None


def test_a_leave_is_taken_only_of_those_who_take_it(chooser: Chooser) -> None:
    farewell = "不用客气，祝你一切顺利。"
    history = [Exchange("我失眠很久了", "失眠很折磨人，是从什么时候开始的呢？")]
    assert chooser.reply_to(history, "谢谢你") == farewell
    assert chooser.reply_to(history, "白天没有精神") != farewell


@pytest.mark.parametrize("said", ["你好", "您好！", "在吗？", "Hi"])
def test_a_greeting_is_left_to_the_model(collection: Path, said: str) -> None:
    assert Chooser(collection, weights=Likeness(least=-100)).reply_to([], said) is None


@pytest.mark.parametrize("said", ["", "？？？", "🙂", "I cannot sleep", "我" * 5000])
def test_any_message_is_read(chooser: Chooser, said: str) -> None:
    assert chooser.ranked([], said)


@pytest.fixture
def rarity() -> Rarity:
    return Rarity(counted(["我很难过", "你很难过", "我很累"] * 100))


def test_a_reply_that_names_whom_nobody_named_fits_less(rarity: Rarity) -> None:
    so_far = WordsSoFar([], "爷爷走了", rarity)
    assert so_far.fit("爷爷走了你很难过") > so_far.fit("你很难过") > so_far.fit("奶奶走了你很难过")


def test_what_was_named_earlier_may_be_named(rarity: Rarity) -> None:
    later = WordsSoFar([Exchange("我和婆婆吵架了", "嗯")], "我很累", rarity)
    assert later.fit("婆婆让你很累") > WordsSoFar([], "我很累", rarity).fit("婆婆让你很累")


def test_a_mother_allows_to_speak_of_parents_and_not_the_other_way_round() -> None:
    assert named("你的父母") <= allowed("我妈又骂我")
    assert not named("你的妈妈") <= allowed("我父母又骂我")


def test_every_group_has_words_and_no_word_stands_in_two() -> None:
    words = [word for group in groups() for word in group.words]
    assert all(group.words for group in groups())
    assert len(words) == len(set(words))
