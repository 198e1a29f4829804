"""Replies out of a collection: which one is given, and when none is."""

from pathlib import Path

import pytest

from tests.worker.retrieval.conftest import DIALOGUES
from worker.engine.port import Exchange
from worker.retrieval.chooser import Chooser, Likeness
from worker.retrieval.fit import WordsSoFar
from worker.retrieval.general import GeneralReplies
from worker.retrieval.named import allowed, groups, named
from worker.retrieval.rarity import Rarity, counted

LENIENT = Likeness(least=0.3, least_taken_up=0)
"""In so small a collection no word is rare."""
PUBLISHED = {exchange.reply for dialogue in DIALOGUES for exchange in dialogue.exchanges}


@pytest.fixture
def chooser(collection: Path) -> Chooser:
    return Chooser(collection, weights=LENIENT)


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


def test_to_what_fits_too_little_general_words_are_said(collection: Path) -> None:
    strict = Chooser(collection, weights=Likeness(least=100))
    assert strict.reply_to([], "我失眠很久了") == next(GeneralReplies().possible([], "我失眠很久了"))


def test_what_takes_up_too_little_is_not_given(collection: Path) -> None:
    assert Chooser(collection).reply_to([], "我失眠很久了") not in PUBLISHED


@pytest.mark.parametrize("said", ["你好", "谢谢你", "我可以停药吗？", "我老公打我"])
def test_what_has_general_words_of_its_own_gets_no_published_reply(collection: Path, said: str) -> None:
    assert Chooser(collection, weights=Likeness(least=-100, least_taken_up=0)).reply_to([], said) not in PUBLISHED


@pytest.mark.parametrize("said", ["我的猫死了", "我好怕", "嗯"])
def test_replies_to_avoid_are_never_given(chooser: Chooser, said: str) -> None:
    avoided: list[str] = []
    for _ in range(5):
        avoided.append(chooser.reply_to([], said, avoided=avoided))
    assert len(set(avoided)) == 5


def test_traditional_characters_are_found_and_answered_alike(chooser: Chooser) -> None:
    assert chooser.reply_to([], "男朋友和我分手了，我很難過") == "分手對你來說一定很痛苦。"
    first = chooser.reply_to([], "這幾天我壓力很大")
    assert chooser.reply_to([Exchange("這幾天我壓力很大", first)], "這幾天我壓力很大") != first


def test_something_is_said_even_if_all_is_to_be_avoided(chooser: Chooser) -> None:
    assert chooser.reply_to([], "🙂", avoided=[*GeneralReplies().possible([], "🙂")])


@pytest.mark.parametrize("said", ["", "？？？", "🙂", "I cannot sleep", "我" * 5000])
def test_any_message_is_read(chooser: Chooser, said: str) -> None:
    assert chooser.reply_to([], said)


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
