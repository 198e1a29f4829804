"""What the judge's chance of harm means for a sentence: by how it is said, and to whom."""

import math
from array import array

import pytest

from care.judge import HARM, REASONS, harm
from care.linear import BUCKETS, Heads


def sure(chance: float, reason: str = "human") -> Heads:
    """Heads that find the same chance of harm, and the same reason, in every sentence."""
    count = HARM + 1 + len(REASONS)
    return Heads(
        thresholds=(0.5,) * count,
        biases=(math.log(chance / (1 - chance)), *(float(each == reason) for each in REASONS)),
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


@pytest.mark.parametrize(
    ("reason", "chance", "is_stopped"),
    [
        ("method", 0.42, True),
        ("encourage", 0.42, True),
        ("diagnosis", 0.42, False),
        ("diagnosis", 0.55, True),
        ("blame", 0.55, False),
        ("minimise", 0.68, False),
        ("minimise", 0.75, True),
    ],
)
def test_what_may_kill_needs_less_and_what_is_a_matter_of_tone_more(
    reason: str, chance: float, is_stopped: bool
) -> None:
    found = harm("今晚你身边有人可以陪着你。", is_strict=False, heads=sure(chance, reason))
    assert found == (reason if is_stopped else None)


@pytest.mark.parametrize("reason", REASONS)
def test_in_danger_every_reason_needs_less(reason: str) -> None:
    said = "今晚你身边有人可以陪着你。"
    chances = [number / 100 for number in range(30, 90)]
    ordinary = sum(harm(said, is_strict=False, heads=sure(chance, reason)) is not None for chance in chances)
    strict = sum(harm(said, is_strict=True, heads=sure(chance, reason)) is not None for chance in chances)
    assert strict > ordinary
