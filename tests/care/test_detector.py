"""The shipped detector and judge are small and readable, and long texts are read in bounded pieces."""

from array import array
from importlib.resources import files

import pytest

from care.detector import HEADS, MAX_PIECES, MAX_WINDOW, TIERS, LinearDetector, pieces, shipped_detector
from care.guard import guard, patterns
from care.hotlines import directory
from care.linear import BUCKETS, Heads, by_meaning, features, meanings, pack, shipped, unpack
from care.normalise import normalise
from care.rules import rulebook
from care.screening import screen, warm


def test_heads_survive_being_packed() -> None:
    weights = array("b", [0]) * BUCKETS
    weights[7] = -100
    heads = Heads(thresholds=(0.5,), biases=(-1.5,), steps=(0.25,), weights=(weights,))
    assert unpack(pack(heads)) == heads


@pytest.mark.parametrize("packed", [b"", b"care1 something old", b"care2 broken"])
def test_a_foreign_file_is_refused(packed: bytes) -> None:
    with pytest.raises(Exception, match=r"linear readings|incorrect header|incomplete"):
        unpack(packed)


@pytest.mark.parametrize("name", ["detector", "judge"])
def test_what_ships_is_small(name: str) -> None:
    assert len((files("care.lexicon") / f"{name}.bin").read_bytes()) < 1_350_000


def test_words_of_one_meaning_read_alike() -> None:
    assert by_meaning("安眠药买好了") == by_meaning("布洛芬买好了")
    assert set(features("安眠药买好了")) & set(features("布洛芬准备好了"))


@pytest.mark.parametrize("surest", range(TIERS))
def test_each_tier_is_raised_by_its_own_head(surest: int) -> None:
    nothing = array("b", [0]) * BUCKETS
    biases = tuple(5.0 if head == surest else -5.0 for head in range(HEADS))
    heads = Heads(thresholds=(0.5,) * HEADS, biases=biases, steps=(1.0,) * HEADS, weights=(nothing,) * HEADS)
    assert LinearDetector(heads).read("今天天气不错").tier == surest + 1


@pytest.mark.parametrize(("found", "tier"), [(5.0, 2), (-5.0, 0)])
def test_danger_that_was_found_is_active_sooner_and_nothing_else_is(found: float, tier: int) -> None:
    nothing = array("b", [0]) * BUCKETS
    biases = (found, 0.0, -5.0, *(0.0,) * (HEADS - 3))  # the second head: one half
    heads = Heads(thresholds=(0.75,) * HEADS, biases=biases, steps=(1.0,) * HEADS, weights=(nothing,) * HEADS)
    assert LinearDetector(heads).read("今天天气不错").tier == tier


@pytest.mark.parametrize("text", ["我把药都攒够了，今晚等他们睡着就走", "腿已经跨过去了，手抓着栏杆"])
@pytest.mark.parametrize("end", ["。", ".", "！", "……", "~"])
def test_how_a_text_ends_does_not_hide_its_danger(text: str, end: str) -> None:
    plain, ended = (shipped_detector().read(normalise(said)) for said in (text, text + end))
    assert ended.tier == plain.tier >= 2


def test_danger_is_found_in_the_middle_of_a_long_text() -> None:
    calm = "今天天气很好，我去公园散步了。" * 60
    assert shipped_detector().read(f"{calm}我把药都攒够了，今晚等他们睡着就走。{calm}").tier >= 2


def test_a_long_text_is_read_in_a_bounded_number_of_pieces() -> None:
    text = "".join(f"第{number}天没有吃药，天台。" for number in range(9000))
    cut = list(pieces(text))
    assert len(cut) == MAX_PIECES
    assert all(len(piece) <= MAX_WINDOW for piece in cut)


def test_after_warming_up_nothing_is_left_to_read() -> None:
    warm()
    guard(directory())
    readings = (rulebook, shipped_detector, shipped, meanings, patterns)
    before = [reading.cache_info().misses for reading in readings]
    screen("今天上班好累，晚上想吃火锅。")
    guard(directory()).judge("听起来你今天很累。", is_finished=True)
    assert [reading.cache_info().misses for reading in readings] == before


def test_a_story_is_not_the_writers_danger() -> None:
    assert rulebook().without_stories("新闻里有人从桥上跳下去了。我也想。") == "□" * 12 + "。我也想。"
