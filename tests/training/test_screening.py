"""Training learns what is there to learn, splits cleanly, and gives the same detector twice."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from care.linear import features, pack
from training import screening
from training.psysuicide import UNRELATED, Labelled
from training.screening import (
    Example,
    calm_examples,
    case_examples,
    expand,
    fit,
    fit_heads,
    folds_of,
    gold_examples,
    held_out_tiers,
    split,
)

RISK = [f"我{word}想从这里消失掉" for word in ("真的", "好", "总", "一直", "常常", "有时")]
CALM = [f"我{word}想吃一碗面条" for word in ("真的", "好", "总", "一直", "常常", "有时")]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """And few steps: the examples here could not be easier."""
    torch.set_num_threads(1)
    monkeypatch.setattr(screening, "ITERATIONS", 5)


def examples() -> list[Example]:
    risky = [Example(text=text, tier=3, route="self", weight=1.0, group=text) for text in RISK]
    return risky + [replace(risky[0], text=text, tier=0, route=None, group=text) for text in CALM]


def test_a_detector_tells_apart_what_it_was_shown_and_what_is_like_it() -> None:
    detector = fit(examples())
    assert detector.read("我偶尔想从这里消失掉").tier >= 1
    assert detector.read("我偶尔想吃一碗面条").tier == 0


def test_ngrams_that_tell_danger_from_calm_can_be_trusted_more() -> None:
    texts = [(text, 1.0) for text in (*RISK, *CALM)]
    targets = [[1]] * len(RISK) + [[0]] * len(CALM)
    risky, calm = ({bucket for text in part for bucket in features(text)} for part in (RISK, CALM))

    def telling_share(*, trusts_telling: bool) -> float:
        weights: list[float] = fit_heads(texts, targets, trusts_telling=trusts_telling)[0][0].tolist()
        telling = sum(abs(weights[bucket]) for bucket in risky ^ calm)
        return telling / (telling + sum(abs(weights[bucket]) for bucket in risky & calm))

    assert telling_share(trusts_telling=True) > telling_share(trusts_telling=False)


def test_the_same_examples_give_the_same_file() -> None:
    assert pack(fit(examples()).heads) == pack(fit(examples()).heads)


def test_folds_share_no_text_and_cover_all() -> None:
    folds = list(split(23, 5))
    assert sorted(index for held_out, _ in folds for index in held_out) == list(range(23))
    assert all(not set(held_out) & set(seen) for held_out, seen in folds)


def test_variants_of_one_template_are_never_split_over_folds() -> None:
    several = [replace(example, group=str(number % 4)) for number, example in enumerate(examples())]
    for held_out, seen in folds_of(several):
        assert not {several[index].group for index in held_out} & {several[index].group for index in seen}


def test_a_held_out_text_is_read_all_the_same() -> None:
    tiers = [alone for alone, _ in held_out_tiers(examples(), [])]
    assert min(tiers[: len(RISK)]) > max(tiers[len(RISK) :])


def test_a_template_stands_for_each_of_its_alternatives() -> None:
    assert expand("我{好|}{累|困}", "seed") == ["我好累", "我好困", "我累", "我困"]
    assert expand("没有", "seed") == ["没有"]


def test_talk_about_others_is_neither_danger_nor_calm() -> None:
    rows = [Labelled(text="t", labels=frozenset({label})) for label in ("关于自杀的探索", "主动自杀意图", UNRELATED)]
    assert [example.tier for example in gold_examples(rows)] == [2, 0]


def test_what_was_written_for_the_project_holds_every_tier_and_route(written: list[Example]) -> None:
    assert {example.tier for example in written} == {0, 1, 2, 3}
    assert {example.route for example in written} >= {"self", "third_party", "abuse", "psychosis", "past"}


def test_cases_are_read_with_the_tier_that_they_want(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    cases = [
        {"kind": "risk", "cat": "third", "text": "a", "want": 1},
        {"kind": "risk", "cat": "past", "text": "b", "want": 0},
        {"kind": "benign", "cat": "idiom", "text": "c", "want": 0},
    ]
    file.write_text(json.dumps({"screening": cases}), "utf-8")
    read = [(example.tier, example.route) for example in case_examples(file)]
    assert read == [(1, "third_party"), (1, "past"), (0, None)]


def test_calm_examples_leave_out_dialogues_where_danger_is_spoken_of(tmp_path: Path) -> None:
    def dialogue(client: str, counsellor: str) -> str:
        return json.dumps([{"role": "client", "content": client}, {"role": "counselor", "content": counsellor}])

    chats = [
        dialogue("我好想死", "我在听"),
        dialogue("我睡得不好", "你有自杀的念头吗"),
        dialogue("我想吃一碗面", "好的"),
    ]
    file = tmp_path / "chats.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(f"{chat}\n" * 5 for chat in chats)
    calm = {example.text for example in calm_examples(file)}
    assert "我想吃一碗面" in calm
    assert not {"我好想死", "我睡得不好"} & calm
