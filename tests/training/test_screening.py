"""Training learns what is there to learn, splits cleanly, and gives the same classifier twice."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from care.classifier import pack
from training.psysuicide import UNRELATED, Labelled
from training.screening import (
    Example,
    choose_threshold,
    cross_validate,
    fit,
    gold_examples,
    ordinary_examples,
    split,
    weak_examples,
)

RISK = [f"我{word}想从这里消失掉" for word in ("真的", "好", "总", "一直", "常常", "有时")]
CALM = [f"我{word}想吃一碗面条" for word in ("真的", "好", "总", "一直", "常常", "有时")]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def examples() -> list[Example]:
    risky = [Example(text=text, is_risk=True, weight=1.0, found_by_rules=False) for text in RISK]
    return risky + [replace(risky[0], text=text, is_risk=False) for text in CALM]


def test_a_classifier_tells_apart_what_it_was_shown_and_what_is_like_it() -> None:
    classifier = fit(examples())
    assert classifier.probability("我偶尔想从这里消失掉") > 0.5 > classifier.probability("我偶尔想吃一碗面条")


def test_the_same_examples_give_the_same_file() -> None:
    assert pack(fit(examples())) == pack(fit(examples()))


def test_folds_share_no_text_and_cover_all() -> None:
    folds = list(split(23, 5))
    assert sorted(index for held_out, _ in folds for index in held_out) == list(range(23))
    assert all(not set(held_out) & set(seen) for held_out, seen in folds)


def test_a_held_out_text_is_judged_all_the_same() -> None:
    probabilities = cross_validate(examples(), [], folds=3)
    risky, calm = probabilities[: len(RISK)], probabilities[len(RISK) :]
    assert min(risky) > max(calm)


def test_the_threshold_spares_the_negatives_that_rules_leave_quiet() -> None:
    calm = [Example(text="", is_risk=False, weight=1.0, found_by_rules=number < 10) for number in range(1000)]
    probabilities = [number / 1000 for number in range(1000)]
    threshold = choose_threshold(calm, probabilities)
    assert sum(p > threshold for p in probabilities) == 12


def test_talk_about_others_is_neither_risk_nor_calm() -> None:
    rows = [Labelled(text="t", labels=frozenset({label})) for label in ("关于自杀的探索", "主动自杀意图", UNRELATED)]
    assert [example.is_risk for example in gold_examples(rows)] == [True, False]


def test_no_ordinary_sentence_is_found_by_a_rule() -> None:
    assert len(ordinary_examples()) > 100


def test_weak_examples_leave_out_calm_words_from_dialogues_where_risk_is_spoken_of(tmp_path: Path) -> None:
    def dialogue(client: str, counsellor: str) -> str:
        return json.dumps([{"role": "client", "content": client}, {"role": "counselor", "content": counsellor}])

    chats = [dialogue("好想死", "我在听"), dialogue("睡不好", "你有自杀的念头吗"), dialogue("想吃面", "好的")]
    file = tmp_path / "chats.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(f"{chat}\n" * 5 for chat in chats)
    weak = weak_examples(file)
    assert {example.text for example in weak if example.is_risk} == {"好想死"}
    calm = {example.text for example in weak if not example.is_risk}
    assert "想吃面" in calm
    assert "睡不好" not in calm
