"""The bench counts what it says it counts."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import training.screening
from bench.screening import as_json, is_training_file, main, measure
from care.detector import LinearDetector
from care.screening import Tier
from training.psysuicide import UNRELATED, Labelled
from training.screening import Example, written_lines


def some_lines(name: str) -> list[str]:
    """Of what was written for the project, with its headings."""
    return [line for number, line in enumerate(written_lines(name)) if line.startswith("== ") or number % 100 == 0]


def row(text: str, *labels: str) -> Labelled:
    return Labelled(text=text, labels=frozenset(labels))


ROWS = [
    row("a", "主动自杀意图"),
    row("b", "被动自杀意图"),
    row("c", "自杀计划"),
    row("d", "自伤行为", "主动自杀意图"),
    row("e", UNRELATED),
    row("f", UNRELATED),
    row("g", "关于自杀的探索"),
]
WORDS = ("面条", "米饭", "饺子", "包子", "馒头", "红薯")
TIERS = [Tier.ACTIVE, Tier.NONE, Tier.DISTRESS, Tier.ACTIVE, Tier.DISTRESS, Tier.NONE, Tier.ACUTE]


def test_recall_counts_self_directed_risk_at_tier_one() -> None:
    assert measure(ROWS, TIERS).recall.share == pytest.approx(3 / 4)


def test_acute_recall_counts_plan_and_behaviour_at_tier_two() -> None:
    assert measure(ROWS, TIERS).acute_recall.share == pytest.approx(1 / 2)


def test_false_alarms_count_the_unrelated_class_alone() -> None:
    report = measure(ROWS, TIERS)
    assert (report.false_alarms.found, report.false_alarms.count) == (1, 2)


def test_a_class_that_is_not_there_has_no_share() -> None:
    report = as_json(measure([row("a", UNRELATED)], [Tier.NONE]))
    assert report["recall"] is None
    assert report["false_alarms"] == 0.0


def test_json_is_one_object_with_the_four_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.json"
    rows = [
        {"text": "我想自杀", "labels": ["主动自杀意图"], "source": "made up"},
        {"text": "我拿刀划了自己", "labels": ["自伤行为"]},
        {"text": "今天天气很好", "labels": [UNRELATED]},
    ]
    file.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    main([str(file), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["recall"], printed["acute_recall"], printed["false_alarms"]) == (1.0, 1.0, 0.0)
    assert printed["classes"]["自伤行为"]["tier_2"]["share"] == 1.0
    assert not is_training_file(file)


def test_the_table_shows_shares_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.json"
    file.write_text(json.dumps([{"text": "我想自杀", "labels": ["主动自杀意图"]}], ensure_ascii=False), "utf-8")
    main([str(file)])
    assert "1.0000  [" in capsys.readouterr().out


def test_cross_validation_never_judges_a_text_with_a_classifier_that_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def fit(examples: Sequence[Example]) -> LinearDetector:
        seen.append({example.text for example in examples})
        return fitted(examples)

    fitted = training.screening.fit
    monkeypatch.setattr(training.screening, "written_lines", some_lines)
    written = {example.text for example in training.screening.written_examples()}
    monkeypatch.setattr(training.screening, "fit", fit)
    monkeypatch.setattr(training.screening, "ITERATIONS", 2)
    file = tmp_path / "texts.json"
    rows = [{"text": f"吃着{word}好想死", "labels": ["被动自杀意图"]} for word in WORDS]
    rows += [{"text": f"晚饭吃{word}", "labels": [UNRELATED]} for word in WORDS]
    file.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    main([str(file), "--json", "--cross-validate", "--folds", "2"])
    calm = {row["text"] for row in rows if row["labels"] == [UNRELATED]}
    held_out = [calm - texts for texts in seen]
    assert held_out[0] | held_out[1] == calm
    assert held_out[0].isdisjoint(held_out[1])
    assert all(texts & written for texts in seen)
