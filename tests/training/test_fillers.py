"""Fillers stand around sentences of both kinds, so that the detector learns that they say nothing."""

import math

import pytest

from training.fillers import fillers, varied
from training.screening import Example

SENTENCE = "我睡不着，也不想说话。"


def example(group: str) -> Example:
    return Example(text=SENTENCE, tier=1, route="self", weight=2.0, group=group)


@pytest.mark.parametrize("group", ["a", "b", "c", "d"])
def test_variants_share_the_weight_of_the_sentence_and_stay_in_its_group(group: str) -> None:
    whole, *among = varied(example(group))
    assert whole.text == SENTENCE
    assert len(among) == 2
    assert math.isclose(whole.weight + sum(each.weight for each in among), 2.0)
    assert {(each.tier, each.route, each.group) for each in among} == {(1, "self", group)}
    assert all("睡不着" in each.text and each.text != SENTENCE for each in among)
    assert [whole, *among] == list(varied(example(group)))


def test_two_words_for_the_speaker_never_meet() -> None:
    texts = [each.text for number in range(200) for each in varied(example(str(number)))]
    assert any(text.startswith("我真的睡不着") for text in texts)
    assert not any("我真的我" in text for text in texts)


def test_sentences_of_danger_and_ordinary_ones_stand_among_the_same(written: list[Example]) -> None:
    before, _ = fillers()
    opened = [each for each in written if each.weight == 0.5 and each.text.startswith(before[0][:1])]
    assert {each.tier > 0 for each in opened} == {True, False}
