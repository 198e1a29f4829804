import re

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.outgoing.splitting import Measure, split

PIECES = [
    "我",
    "你",
    "。",
    "，",
    "\n\n",
    " ",
    "a",
    "é",
    "e\u0301",
    "😀",
    "👍🏽",
    "👩\u200d👩\u200d👧",
    "🇨🇳",
    "각",
    "नि",
    "1️⃣",
]
texts = st.lists(st.sampled_from(PIECES), max_size=150).map("".join)
measures = st.sampled_from(list(Measure))
LONGEST_GRAPHEME = 20


def test_each_measure_counts_what_its_platform_counts() -> None:
    text = "a我😀"
    assert [measure.of(text) for measure in (Measure.CODE_POINTS, Measure.UTF16, Measure.UTF8)] == [3, 4, 8]


@given(texts, measures, st.integers(LONGEST_GRAPHEME, 200))
def test_nothing_is_lost_and_no_part_is_too_long_by_any_measure(text: str, measure: Measure, limit: int) -> None:
    parts = split(text, limit, measure)
    assert all(measure.of(part) <= limit for part in parts)
    assert re.sub(r"\s", "", "".join(parts)) == re.sub(r"\s", "", text)


@given(texts, measures, st.integers(LONGEST_GRAPHEME, 200))
def test_no_grapheme_is_cut(text: str, measure: Measure, limit: int) -> None:
    whole = regex.findall(r"\X", re.sub(r"\s", "", text))
    assert [each for part in split(text, limit, measure) for each in regex.findall(r"\X", re.sub(r"\s", "", part))] == (
        whole
    )


@pytest.mark.parametrize("measure", list(Measure))
def test_what_is_longer_than_a_message_is_said_nevertheless(measure: Measure) -> None:
    assert split("😀😀", 1, measure) == ["😀", "😀"]
    assert "".join(split("a" + "\u0301" * 50, 10, measure)) == "a" + "\u0301" * 50


def test_2048_bytes_hold_682_chinese_characters() -> None:
    assert [len(part) for part in split("我" * 1000, 2048, Measure.UTF8)] == [682, 318]
