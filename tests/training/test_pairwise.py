"""Two models compared by a judge: both orders, agreement, what a bad answer costs, and that nothing is asked twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.chat_completions import serving
from training.evaluation import plain_report
from training.evaluation.chat_server import Address
from training.evaluation.intervals import bootstrap, wilson
from training.evaluation.pairwise import JUDGEMENTS, judge_pairs, outcome
from training.simulation import simulate
from training.simulation.counsellor import Served
from training.simulation.simulate import Plan
from training.trouble import TrainingTrouble

CARDS = ["farmer-debt", "exam-third-try", "boy-bullied"]


@pytest.fixture
def talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Of one that listens and one that lectures."""
    for name, reply in (("listening", "你说{text}，能多说说吗？"), ("lecturing", "首先运动。其次早睡。")):
        monkeypatch.setenv("MINDGLM_ENGINE", "scripted")
        monkeypatch.setenv("MINDGLM_SCRIPTED_REPLY", reply)
        plan = Plan(served=Served(), cards=CARDS, max_turns=3)
        simulate.simulate(plan, tmp_path / name, say=lambda _: None)
    return tmp_path / "listening", tmp_path / "lecturing"


def prefers_listening(messages: list[dict[str, str]]) -> str:
    first, second = messages[0]["content"].split("对话乙：")
    if "能多说说吗" in first and "能多说说吗" not in second:
        return '想一想 {"better": "乙"} 不对 {"better": "甲"}'
    return '{"better": "乙"}'


def compared(talks: tuple[Path, Path], target: Path, address: Address, **options: Any) -> dict[str, Any]:
    return judge_pairs(*talks, target, address, say=lambda _: None, tries=2, **options)


def test_a_judge_that_looks_at_the_replies_is_agreed_with_itself(talks: tuple[Path, Path], tmp_path: Path) -> None:
    with serving(prefers_listening) as (server, address):
        found = compared(talks, tmp_path / "verdict", address)
        assert len(server.asked) == 6
        assert compared(talks, tmp_path / "verdict", address, is_resumed=True) == found
        assert len(server.asked) == 6
        turned = compared((talks[1], talks[0]), tmp_path / "turned", address)
    assert (found["wins"], found["ties"], found["losses"]) == (3, 0, 0)
    assert (turned["wins"], turned["losses"]) == (0, 3)
    assert found["agreement"]["value"] == 1
    assert found["first_place"]["value"] == 0.5
    assert "secret" not in (tmp_path / "verdict" / JUDGEMENTS).read_text("utf-8")


def test_a_judge_that_likes_the_first_place_only_makes_ties(talks: tuple[Path, Path], tmp_path: Path) -> None:
    with serving(lambda _: '{"better": "甲"}') as (_, address):
        found = compared(talks, tmp_path / "verdict", address)
    assert (found["wins"], found["ties"], found["losses"], found["contradictions"]) == (0, 3, 0, 3)
    assert found["win_rate"]["value"] == 0.5
    assert found["agreement"]["value"] == 0
    assert found["first_place"]["value"] == 1


def test_a_bad_answer_costs_one_question_and_is_counted(talks: tuple[Path, Path], tmp_path: Path) -> None:
    def rule(messages: list[dict[str, str]]) -> str:
        return '{"better": "丙"}' if "猪瘟" in messages[0]["content"] else prefers_listening(messages)

    with serving(rule) as (server, address):
        found = compared(talks, tmp_path / "verdict", address)
    assert (found["wins"], found["unjudged"]) == (2, 2)
    assert len(server.asked) == 4 + 2 * 3
    assert [asked["temperature"] for asked in server.asked if "猪瘟" in asked["messages"][0]["content"]].count(0) == 2
    plain_report.write_pairwise(tmp_path, found)
    assert "2 of the questions got no usable answer" in (tmp_path / "report.md").read_text("utf-8")
    assert "有 2 次提问没有得到" in (tmp_path / "report.zh.md").read_text("utf-8")


def test_a_judge_that_goes_away_costs_nothing_that_was_judged(talks: tuple[Path, Path], tmp_path: Path) -> None:
    left = 2

    def rule(messages: list[dict[str, str]]) -> str | int:
        nonlocal left
        left -= 1
        return prefers_listening(messages) if left >= 0 else 403

    with serving(rule) as (_, address), pytest.raises(TrainingTrouble, match="status 403"):
        compared(talks, tmp_path / "verdict", address)
    kept = len((tmp_path / "verdict" / JUDGEMENTS).read_text("utf-8").splitlines()) - 1
    with serving(prefers_listening) as (server, address):
        found = compared(talks, tmp_path / "verdict", address, is_resumed=True)
    assert len(server.asked) == 6 - kept
    assert found["wins"] == 3


def test_other_conditions_and_another_judge_are_refused(talks: tuple[Path, Path], tmp_path: Path) -> None:
    short = tmp_path / "short"
    simulate.simulate(Plan(served=Served(), cards=CARDS, max_turns=2), short, say=lambda _: None)
    with serving(prefers_listening) as (_, address):
        with pytest.raises(TrainingTrouble, match="max_turns"):
            compared((talks[0], short), tmp_path / "verdict", address)
        compared(talks, tmp_path / "verdict", address)
        with pytest.raises(TrainingTrouble, match="judge"):
            compared(talks, tmp_path / "verdict", address._replace(model="judge-2"), is_resumed=True)


def test_intervals_are_those_of_the_textbook() -> None:
    half = wilson(5, 10)
    assert (round(half.low, 4), round(half.high, 4)) == (0.2366, 0.7634)
    assert wilson(0, 10).low == 0
    assert round(wilson(0, 10).high, 4) == 0.2775
    assert wilson(0, 0)[1:] == (0, 1, 0)
    assert 0.9 < wilson(45, 45).low < wilson(45, 45).high <= 1
    assert bootstrap([1.0] * 9)[:3] == (1, 1, 1)
    spread = bootstrap([0.0, 1.0] * 50)
    assert spread.value == 0.5
    assert 0.38 < spread.low < 0.43
    assert 0.57 < spread.high < 0.62
    assert outcome({})["win_rate"]["items"] == 0
