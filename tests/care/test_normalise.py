"""Disguised spellings read as what they mean, innocent ones stay what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care.normalise import in_mandarin, normalise


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("我想自殺", "我想自杀"),
        ("活著沒意思", "活着没意思"),
        ("結束這一切，離開這個世界", "结束这一切,离开这个世界"),
        ("自 杀", "自杀"),
        ("自*杀", "自杀"),
        ("自.杀", "自杀"),
        ("自\u200b杀", "自杀"),
        ("自s", "自杀"),
        ("z杀", "自杀"),
        ("ＺＩ　ＳＨＡ", "自杀"),
        ("我想紫砂", "我想自杀"),
        ("好想4", "好想死"),
        ("想鼠了", "想死了"),
        ("想似了算了", "想死了算了"),
        ("去4吧", "去死吧"),
        ("不想huo了", "不想活了"),
        ("bu xiang huo le", "不想活"),
        ("又zc了", "又自残了"),
        ("想割wan", "想割腕"),
        ("站在这里想跳lou", "站在这里想跳楼"),
        ("一瓶安眠yao", "一瓶安眠药"),
        ("我想死死死死死", "我想死"),
        ("想💊🔪", "想药刀"),
        ("佢哋話我冇用", "他们话我没用"),
        ("我唔想瞓，我喺爐邊", "我不想睡,我在炉边"),
        ("點解要活著，有乜嘢意思", "为什么要活着,有什么意思"),
    ],
)
def test_a_disguise_reads_as_what_it_means(written: str, read: str) -> None:
    assert normalise(written) == read


@pytest.mark.parametrize(
    "innocent",
    ["宜兴紫砂壶", "想买紫砂杯", "2024了", "还剩4个", "zszq", "妻子杀鸡", "似乎不对", "他很像鼠标", "安眠要紧"],
)
def test_an_innocent_spelling_stays(innocent: str) -> None:
    assert normalise(innocent) == innocent


def test_dots_end_a_sentence_and_line_breaks_stay() -> None:
    assert normalise("算了……\n没事...") == "算了。\n没事。"


@given(st.text(max_size=200))
def test_any_text_can_be_normalised(text: str) -> None:
    assert isinstance(normalise(text), str)


@given(st.text())
def test_reading_as_mandarin_keeps_every_place(text: str) -> None:
    assert len(in_mandarin(text)) == len(text)


@pytest.mark.parametrize(
    "filler", ["\u3164", "\u1160", "\u2800", "\u180e", "\uffa0", "\U000e0061", "\U000e0100", "\u2062"]
)
def test_every_character_that_shows_nothing_is_dropped(filler: str) -> None:
    assert normalise(filler.join("我想自杀")) == "我想自杀"
