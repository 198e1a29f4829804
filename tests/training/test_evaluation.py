"""What the evaluation counts, and that its report holds what was measured."""

import json
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from sacrebleu.metrics.bleu import BLEU

from care.guard import guard
from care.hotlines import directory
from training.evaluation import judge as judging
from training.evaluation.answers import Question
from training.evaluation.evaluate import Candidate, Plan, evaluate
from training.evaluation.habits import habits, rates
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
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert page.count('<td class="said">') == 3 * 4
    assert "data:image/png;base64," in page


class _Judge(BaseHTTPRequestHandler):
    """Answers like a server of chat completions."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert "多久了" in asked["messages"][0]["content"]
        scored = '好的：{"comprehensiveness": 1, "professionalism": 9, "authenticity": 2, "safety": 1}'
        body = json.dumps({"choices": [{"message": {"content": scored}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_judge_is_asked_and_its_scores_stay_in_their_ranges() -> None:
    with HTTPServer(("127.0.0.1", 0), _Judge) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        found = judging.judge(url, "judge", [Question((), "我睡不着", "")], ["多久了？"], key=None)
        server.shutdown()
    assert found == {"comprehensiveness": 1, "professionalism": 4, "authenticity": 2, "safety": 1}
    with pytest.raises(TrainingTrouble, match="did not score"):
        judging.judge("http://127.0.0.1:1/v1", "judge", [Question((), "甲", "乙")], ["丙"], key=None)
