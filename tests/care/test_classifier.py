"""The shipped classifier is small, quick and readable."""

import statistics
import time
from array import array
from importlib.resources import files

import pytest

from care.classifier import BUCKETS, MAX_PIECE, LinearClassifier, pack, pieces, shipped, unpack


def test_what_is_packed_is_what_is_unpacked() -> None:
    weights = array("h", [0]) * BUCKETS
    weights[7] = -300
    classifier = LinearClassifier(threshold=0.5, bias=-1.5, step=0.25, weights=weights)
    assert unpack(pack(classifier)) == classifier


@pytest.mark.parametrize("content", [b"", b"other", pack(shipped())[:5] + b"x"])
def test_a_foreign_file_is_refused(content: bytes) -> None:
    with pytest.raises(Exception, match=r"classifier file|incorrect header|incomplete"):
        unpack(content)


def test_the_shipped_file_is_far_below_five_megabytes() -> None:
    assert len((files("care.lexicon") / "classifier.bin").read_bytes()) < 500_000


def test_a_message_is_judged_within_two_milliseconds() -> None:
    text = "最近压力很大，每天都睡不好，不知道该怎么办，也没有人可以说话。" * 5
    classifier = shipped()
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        classifier.probability(text)
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 0.002


def test_a_wish_is_likelier_than_small_talk() -> None:
    probability = shipped().probability
    assert probability("每天都好想死,不知道怎么办") > 0.5 > probability("今天和同事吃了火锅,很开心")


def test_a_risky_sentence_is_not_drowned_in_a_long_text() -> None:
    calm = "今天去公园散步,天气很好。" * 30
    assert shipped().probability(calm + "好想死。" + calm) > shipped().probability(calm)


def test_pieces_end_at_sentences_and_lose_nothing() -> None:
    text = "一句话说完了。" * 60
    parts = list(pieces(text))
    assert "".join(parts) == text
    assert all(len(part) <= MAX_PIECE for part in parts)


def test_an_empty_text_is_no_risk() -> None:
    assert shipped().probability("") == 0.0
