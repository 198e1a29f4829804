"""What the judge's chance of harm means for a sentence: by how it is said, and to whom."""

import math
from array import array

import pytest

from care.judge import HARM, REASONS, harm
from care.linear import BUCKETS, Heads


def sure(chance: float) -> Heads:
    """Heads that find the same chance of harm in every sentence."""
    count = HARM + 1 + len(REASONS)
    return Heads(
        thresholds=(0.5,) * count,
        biases=(math.log(chance / (1 - chance)),) * count,
        steps=(0.0,) * count,
        weights=(array("b", bytes(BUCKETS)),) * count,
    )


@pytest.mark.parametrize(
    ("said", "chance", "is_stopped", "is_stopped_in_danger"),
    [
        ("今晚你身边有人可以陪着你。", 0.6, True, True),
        ("今晚你身边有人可以陪着你吗？", 0.6, False, True),
        ("今晚你身边有人可以陪着你吗?", 0.6, False, True),
        ("今晚你身边有人可以陪着你吗？", 0.85, True, True),
        ("今晚你身边有人可以陪着你。", 0.47, False, True),
        ("多久了？", 0.7, False, False),
    ],
)
def test_a_question_needs_more_and_danger_less(
    said: str, chance: float, is_stopped: bool, is_stopped_in_danger: bool
) -> None:
    heads = sure(chance)
    assert (harm(said, is_strict=False, heads=heads) is not None) is is_stopped
    assert (harm(said, is_strict=True, heads=heads) is not None) is is_stopped_in_danger
