"""The bench counts what it says it counts."""

import json
from pathlib import Path

import pytest

import training.screening
from bench.screening import as_json, is_training_file, main, measure
from care.screening import Tier
from training.psysuicide import UNRELATED, Labelled


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
    monkeypatch.setattr(training.screening, "ITERATIONS", 2)
    monkeypatch.setattr(training.screening, "VARIANTS", 1)
    file = tmp_path / "texts.json"
    rows = [{"text": "好想死啊" * (1 + n % 3), "labels": ["被动自杀意图"]} for n in range(6)]
    rows += [{"text": "晚饭吃面" * (1 + n % 3), "labels": [UNRELATED]} for n in range(6)]
    file.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    main([str(file), "--json", "--cross-validate", "--folds", "2"])
