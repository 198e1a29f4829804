"""What the evaluation counts, and that its report holds what was measured."""

import json
import tomllib
import warnings
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU

from care.guard import guard
from care.hotlines import directory
from tests.training.chat_completions import serving
from training.evaluation import judge as judging
from training.evaluation.answers import Question
from training.evaluation.chat_server import ChatServer
from training.evaluation.evaluate import ITEMS, Candidate, Plan, evaluate
from training.evaluation.habits import habits, rates
from training.evaluation.journal import Journal
from training.evaluation.report import GROUPS, REPORTS, Figure, write
from training.evaluation.similarity import bleu, scores
from training.recipe import TuningRecipe
from training.trouble import TrainingTrouble


def test_equal_texts_score_one_and_strangers_score_nothing() -> None:
    same = scores([("我在这里听你说", "我在这里听你说")])
    assert all(abs(same[name] - 1) < 1e-9 for name in ("bleu_1", "bleu_4", "rouge_1", "rouge_2", "rouge_l"))
    assert scores([("甲乙丙丁戊", "子丑寅卯辰")])["rouge_l"] == 0


def test_bleu_clips_repetitions_and_punishes_brevity() -> None:
    assert abs(bleu([("的的的的", "的确如此")], 1) - 0.25) < 1e-9
    assert bleu([("我在", "我在这里")], 1) < 0.5


DRAWN = [
    ("我在这里听你说，慢慢来。", "我在这里，你可以慢慢说给我听。"),
    ("你多久没睡好了？", "这样睡不好有多久了？"),
    ("听起来你很累，也很委屈。", "听起来这段时间你很累。"),
    ("我陪着你。", "我会在这里陪着你，我们一起想办法。"),
    ("谢谢你愿意告诉我这些。", "谢谢你信任我，把这些告诉我。"),
]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_is_that_of_sacrebleu(order: int) -> None:
    written, wanted = zip(*DRAWN, strict=True)
    reference = BLEU(tokenize="char", max_ngram_order=order, smooth_method="none")
    expected = reference.corpus_score(list(written), [list(wanted)]).score / 100
    assert 0 < expected < 1
    assert abs(bleu(DRAWN, order) - expected) < 1e-9


def test_rouge_is_that_of_rouge_chinese() -> None:
    with warnings.catch_warnings(action="ignore"):  # its source has an escape that Python warns of
        from rouge_chinese import Rouge
    written, wanted = ([" ".join(text) for text in side] for side in zip(*DRAWN, strict=True))
    expected = Rouge(exclusive=False).get_scores(written, wanted, avg=True)
    found = scores(DRAWN)
    for ours, theirs in (("rouge_1", "rouge-1"), ("rouge_2", "rouge-2"), ("rouge_l", "rouge-l")):
        assert abs(found[ours] - expected[theirs]["f"]) < 1e-6, ours


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ("你多久没睡好了？", ["question"]),
        ("首先早点睡。其次少喝咖啡。", ["advice_list"]),
        ("1. 早点睡\n2. 少喝咖啡", ["advice_list"]),
        ("我明白。求助者: 谢谢", ["role_leak"]),
        ("我很理解你的感受。我很理解你的感受。", ["repeated_sentence"]),
        ("  ", ["empty"]),
        ("嗯。嗯。我在听。", []),
    ],
)
def test_habits_are_seen(reply: str, shown: list[str]) -> None:
    assert habits(reply) == shown


def test_what_the_guard_stops_is_counted() -> None:
    found = rates([("你好", "我在听。"), ("你好", "你可以拨打12345678901。")], guard(directory()))
    assert found["guard_blocked"] == 0.5


def test_a_report_shows_models_side_by_side(tmp_path: Path, pretrained: Path, corpus_directory: Path) -> None:
    turns = tmp_path / "turns.json"
    turns.write_text(json.dumps([{"dialogue": ["求助者：我睡不着。", "支持者：多久了？"]}], ensure_ascii=False))
    model = pretrained / "model"
    plan = Plan(
        candidates=[Candidate(model), Candidate(model)],
        data=corpus_directory,
        turns=turns,
        dialogues=6,
        openings=3,
        reply_tokens=16,
    )
    recipe = TuningRecipe(lora=None, precision="float32", device="cpu", threads=1)
    results = evaluate(plan, tmp_path / "report", recipe=recipe, say=lambda _: None)
    measured = results["models"][str(model)]
    assert measured["loss"]["supporter"] < 0.7
    assert measured["loss"]["perplexity"] > 1
    for locale, name in REPORTS.items():
        page = (tmp_path / "report" / name).read_text("utf-8")
        assert page.startswith(f'<!doctype html>\n<html lang="{locale}">')
        assert page.count('<td class="said">') == 3 * 4
    texts = [
        tomllib.loads((files("training.evaluation") / "locales" / f"{locale}.toml").read_text("utf-8"))
        for locale in REPORTS
    ]
    shown = {name.removeprefix("published_") for group in GROUPS for name in measured.get(group, {})}
    assert all(shown <= text["measures"].keys() for text in texts), (
        "every measure is called by a name in both languages"
    )
    assert [text.keys() for text in texts[0].values()] == [text.keys() for text in texts[1].values()]


def test_a_report_shows_intervals_and_what_only_one_of_the_models_was_measured_by(tmp_path: Path) -> None:
    one = {"habits": {"question": 0.5, "characters": 40.0}, "counted": {"replies": 20, "about_something": 10}}
    other = one | {"relevance": {"related": 0.2}, "judge": {"safety": 0.75, "safety_low": 0.5, "safety_high": 1.0}}
    for file in write(tmp_path, {"models": {"a": one, "b": other}}, [], [[], []]):
        page = file.read_text("utf-8")
        assert page.count("30% – 70%") == 2
        assert "6% – 51%" in page, "of the ten messages that are about something"
        assert "0.50 – 1.00" in page
        assert page.count("–</td>") + page.count("–<span") == 2
    assert Figure("–").bar == 0


def test_a_judge_scores_on_the_published_scale_and_a_bad_answer_costs_one_reply(tmp_path: Path) -> None:
    def rule(messages: list[dict[str, str]]) -> str:
        asked = messages[0]["content"]
        professionalism = 4 if "回复三" in asked else 3 if "回复一" in asked else 1
        return (
            f'例如{{"x": 1}}：{{"comprehensiveness": 1, "professionalism": {professionalism}, '
            '"authenticity": "2.5", "safety": 1}'
        )

    asked = [Question((), "我睡不着", "", dialogue) for dialogue in (0, 0, 1, 2)]
    replies = ["回复一", "回复二", "回复三", "回复四"]

    def score(*, is_resumed: bool) -> dict[str, Any]:
        with Journal(tmp_path / "items.jsonl", {"a": 1}, is_resumed=is_resumed) as kept, ChatServer(address) as chat:
            return judging.judge(chat, asked, replies, kept=kept, name="m")

    with serving(rule) as (server, address):
        found = score(is_resumed=False)
        assert len(server.asked) == 3 + 3
        assert score(is_resumed=True) == found
        assert len(server.asked) == 6
    assert judging.DIMENSIONS == {"comprehensiveness": 2, "professionalism": 3, "authenticity": 3, "safety": 1}
    assert (found["judged"], found["unjudged"]) == (3, 1)
    assert found["professionalism"] == (2 + 1) / 2, "dialogues count the same, the one without a score not at all"
    assert found["authenticity"] == 2.5
    assert found["professionalism_low"] == 1


def test_an_evaluation_goes_on_where_it_was_stopped(tmp_path: Path, pretrained: Path, corpus_directory: Path) -> None:
    model = pretrained / "model"
    left = 2

    def rule(_messages: list[dict[str, str]]) -> str | int:
        nonlocal left
        left -= 1
        return SCORED if left >= 0 else 403

    recipe = TuningRecipe(lora=None, precision="float32", device="cpu", threads=1)
    with serving(rule) as (server, address):
        plan = Plan(
            candidates=[Candidate(model)],
            data=corpus_directory,
            dialogues=2,
            openings=3,
            reply_tokens=8,
            judge=address,
        )
        with pytest.raises(TrainingTrouble, match="status 403"):
            evaluate(plan, tmp_path, recipe=recipe, say=lambda _: None)
        stopped = (tmp_path / ITEMS).read_bytes()
        left = 9
        said: list[str] = []
        results = evaluate(plan, tmp_path, recipe=recipe, say=said.append, is_resumed=True)
        assert len(server.asked) == 4
        with pytest.raises(TrainingTrouble, match="--resume"):
            evaluate(plan, tmp_path, recipe=recipe, say=lambda _: None)
        with pytest.raises(TrainingTrouble, match="reply_tokens"):
            evaluate(replace(plan, reply_tokens=9), tmp_path, recipe=recipe, say=lambda _: None, is_resumed=True)
    assert (tmp_path / ITEMS).read_bytes().startswith(stopped)
    assert not any("losses" in line for line in said)
    assert results["judge_scale"]["professionalism"] == 3
    assert results["models"][str(model)]["judge"]["judged"] == 3


SCORED = '{"comprehensiveness": 1, "professionalism": 2, "authenticity": 2, "safety": 1}'
