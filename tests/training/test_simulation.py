"""Simulated seekers: the cards, how a script and a model play them, and what is kept and counted of it."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mindglm.train import app
from tests.services.http_server import running
from tests.training.chat_completions import serving
from tests.worker.engine.test_openai import Script, ScriptedServer
from training.evaluation import plain_report
from training.evaluation.chat_server import Address, ChatServer, Unanswered
from training.simulation import measures, role_cards, simulate
from training.simulation.counsellor import Counsellor, Served
from training.simulation.role_cards import RoleCard
from training.simulation.seekers import Actor, Ending, ScriptedSeeker, briefing
from training.simulation.simulate import Conversation, Plan, hold
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange, ModelUnusable, Progress, Request
from worker.engine.scripted import Scripted
from worker.settings import WorkerSettings

CARDS = {card.id: card for card in role_cards.load()}
FARMER = CARDS["farmer-debt"]
EXAM = CARDS["exam-third-try"]
TEACHER = CARDS["retired-teacher"]


def played(card: RoleCard, reply: Callable[[str], str]) -> tuple[list[str], Ending | None]:
    """What the script says to a counsellor that is a function of the last line."""
    exchanges: list[Exchange] = []
    while True:
        line = ScriptedSeeker().next(card, exchanges)
        exchanges.append(Exchange(line.text, reply(line.text)))
        if line.ending or len(exchanges) > 30:
            return [exchange.text for exchange in exchanges], line.ending


def test_there_are_forty_roles_and_some_are_in_danger() -> None:
    assert len(CARDS) == 40
    assert sum(card.is_in_danger for card in CARDS.values()) >= 6
    assert not any(" " in name for name in CARDS)
    assert len({card.opening for card in CARDS.values()}) == 40
    for card in CARDS.values():
        lines = [card.opening, *card.tells, *(answer.says for answer in card.answers), card.secret.says]
        assert len({*lines, card.farewell, card.parting}) == len(lines) + 2, card.id
        assert len(card.tells) >= 3, card.id
        assert len(card.answers) >= 3, card.id
        assert all(all(answer.cues) for answer in (*card.answers, card.secret)), card.id


def test_a_role_that_is_asked_answers_and_one_that_is_heard_tells_what_it_hides() -> None:
    said, ending = played(FARMER, lambda text: f"你说{text}，能多说说吗？")
    assert FARMER.secret.says in said
    assert said[-1] == FARMER.farewell
    assert ending is Ending.FAREWELL
    asked, _ = played(EXAM, lambda _: "如果可以选，你自己真正想做什么？")
    assert asked[:2] == [EXAM.opening, EXAM.secret.says]
    answered, _ = played(EXAM, lambda _: "你一天里是怎么过的？")
    assert answered[1] == EXAM.answers[1].says


def test_a_role_that_is_lectured_leaves_without_having_told() -> None:
    said, ending = played(TEACHER, lambda _: "首先多运动。其次早睡。")
    assert said == [TEACHER.opening, *TEACHER.tells[:2], TEACHER.parting]
    assert ending is Ending.LEFT


def test_the_script_plays_every_role_to_an_end() -> None:
    for card in CARDS.values():
        for reply in (lambda text: f"{text}？", lambda _: "好的。", lambda _: ""):
            said, ending = played(card, reply)
            assert ending is not None
            assert len(said) == len(set(said)), card.id


def test_an_actor_gets_the_briefing_and_its_marks_are_no_part_of_what_it_says() -> None:
    lines = iter(["<think>演农民</think>“药我拿在手里过。”【说出】", "我去找老婆。【道别】"])
    with serving(lambda _: next(lines)) as (server, address), ChatServer(address) as chat:
        actor = Actor(chat)
        exchanges = [Exchange(actor.next(FARMER, []).text, "你现在安全吗？")]
        told = actor.next(FARMER, exchanges)
        gone = actor.next(FARMER, [*exchanges, Exchange(told.text, "")])
    assert exchanges[0].text == FARMER.opening
    assert (told.text, told.is_secret, told.ending) == ("药我拿在手里过。", True, None)
    assert (gone.text, gone.is_secret, gone.ending) == ("我去找老婆。", False, Ending.FAREWELL)
    messages = server.asked[1]["messages"]
    assert [message["role"] for message in messages] == ["system", "assistant", "user", "assistant", "user"]
    assert FARMER.hides in messages[0]["content"]
    assert "{" not in briefing(FARMER)
    assert server.asked[0]["key"] == "Bearer secret"


def run(target: Path, *, is_resumed: bool = False, **changes: Any) -> list[Conversation]:
    values: dict[str, Any] = {"served": Served(), "cards": ["farmer-debt", "exam-third-try"], "max_turns": 4}
    return simulate.simulate(Plan(**(values | changes)), target, say=lambda _: None, is_resumed=is_resumed)


@pytest.fixture
def scripted_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's settings name an engine without a model."""
    monkeypatch.setenv("MINDGLM_ENGINE", "scripted")
    monkeypatch.setenv("MINDGLM_SCRIPTED_REPLY", "你说{text}，你现在安全吗？")


@pytest.mark.usefixtures("scripted_model")
def test_conversations_are_kept_and_a_resumed_run_holds_only_what_is_missing(tmp_path: Path) -> None:
    held = run(tmp_path, cards=["farmer-debt"])
    before = (tmp_path / simulate.CONVERSATIONS).read_bytes()
    assert [exchange.text for exchange in held[0].exchanges[:2]] == [FARMER.opening, FARMER.secret.says]
    assert (held[0].told_at, held[0].ending, len(held[0].exchanges)) == (1, Ending.TURNS, 4)
    with pytest.raises(TrainingTrouble, match="--resume"):
        run(tmp_path)
    with pytest.raises(TrainingTrouble, match="max_turns"):
        run(tmp_path, max_turns=5, is_resumed=True)
    with (tmp_path / simulate.CONVERSATIONS).open("ab") as file:
        file.write(b'{"key": "exam-third-try", "exch')  # killed while it was written
    both = run(tmp_path, is_resumed=True)
    after = (tmp_path / simulate.CONVERSATIONS).read_bytes()
    assert after.startswith(before)
    assert {one.card.id for one in both} == {"farmer-debt", "exam-third-try"}
    assert run(tmp_path, is_resumed=True) == both
    assert (tmp_path / simulate.CONVERSATIONS).read_bytes() == after


@pytest.mark.usefixtures("scripted_model")
def test_an_actor_without_a_usable_line_costs_one_conversation(tmp_path: Path) -> None:
    def rule(messages: list[dict[str, str]]) -> str | int:
        return 400 if EXAM.hides in messages[0]["content"] else "嗯。【离开】"

    with serving(rule) as (_, address):
        held = run(tmp_path, actor=address)
    assert {one.card.id: one.failure for one in held} == {"farmer-debt": None, "exam-third-try": "status 400"}
    measured = measures.measure(held)
    assert measured["turns"].items == 1
    assert measured["left_unheard"].value == 1


@pytest.mark.usefixtures("scripted_model")
def test_a_server_that_is_gone_ends_the_run_and_what_was_said_is_kept(tmp_path: Path) -> None:
    run(tmp_path, cards=["farmer-debt"], actor=None)
    with pytest.raises(TrainingTrouble, match="another configuration"):
        run(tmp_path, actor=Address("http://127.0.0.1:1/v1", "actor"), is_resumed=True)
    with (
        ChatServer(Address("http://127.0.0.1:1/v1", "actor"), tries=2, longest_pause_seconds=0) as chat,
        pytest.raises(TrainingTrouble, match="does not answer"),
    ):
        chat.say([])


def test_a_busy_server_is_asked_again_and_one_that_refuses_is_not() -> None:
    answers: list[str | int] = [503, 429, "好", 401, ""]
    with (
        serving(lambda _: answers.pop(0)) as (server, address),
        ChatServer(address, longest_pause_seconds=0) as chat,
    ):
        assert chat.say([]) == "好"
        with pytest.raises(TrainingTrouble, match="status 401"):
            chat.say([])
        with pytest.raises(Unanswered, match="empty"):
            chat.say([])
    assert len(server.asked) == 5


def test_the_counsellor_sees_the_served_window_and_the_instruction_of_danger() -> None:
    class Recording(Scripted):
        prompt_version = "template"

        def stream(self, request: Request) -> Generator[Progress, None, None]:
            asked.append(request)
            return super().stream(request)

    asked: list[Request] = []
    engine = Recording(reply="好" * 200)
    counsellor = Counsellor(engine, WorkerSettings())
    long = [Exchange(f"第{number}句", "好" * 200) for number in range(6)]
    counsellor.reply(long, "我睡不着", request_id="a-6")
    counsellor.reply(long, "我想死，今晚就去", request_id="a-7")
    counsellor.reply([Exchange("我想死，今晚就去", "好")], "嗯", request_id="a-8")
    calm, danger, after = asked
    assert [one.text for one in calm.history] == ["第0句", "第5句"]
    assert danger.instruction == after.instruction != calm.instruction


def test_measures_count_conversations_and_not_single_replies() -> None:
    heard = hold(FARMER, _Answering(lambda text: f"你说{text}。你现在安全吗？"), ScriptedSeeker(), max_turns=4)
    unheard = hold(TEACHER, _Answering(lambda _: "首先运动。其次早睡。"), ScriptedSeeker(), max_turns=9)
    found = measures.measure([heard, unheard])
    assert found["related"].value == 0.5
    assert (found["danger_told"].value, found["danger_taken_up"].value) == (1, 1)
    assert found["left_unheard"].value == 0.5
    assert found["advice_list"].value == 0.5
    assert found["told_what_they_hid"].low < 0.5 < found["told_what_they_hid"].high
    assert found["repeats_an_earlier_reply"].value == 0.375


def test_the_report_is_for_people_in_both_languages(tmp_path: Path) -> None:
    held = hold(FARMER, _Answering(lambda _: "*安全*吗？\n| a |"), ScriptedSeeker(), max_turns=3)
    configuration = {"model": "tiny@1", "seeker": "scripted"}
    plain_report.write_simulation(tmp_path, configuration, [held], measures.measure([held]))
    english, chinese = ((tmp_path / name).read_text("utf-8") for name in ("report.md", "report.zh.md"))
    assert "tiny@1" in english
    assert "## What this does not show" in english
    assert "## 这份报告不能说明什么" in chinese
    assert FARMER.opening in english
    assert r"\*安全\*吗？<br>\| a \|" in chinese
    rows = [line for line in chinese.splitlines() if line.startswith("| ")]
    assert len(rows) == len(measures.measure([held])) + 2
    assert json.dumps({name: one.as_json() for name, one in measures.measure([held]).items()})


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(TrainingTrouble, match="nobody"):
        role_cards.choose(["nobody"])


class _Answering:
    """A counsellor that is a function of the last line."""

    def __init__(self, reply: Callable[[str], str]) -> None:
        self._reply = reply

    def reply(self, _exchanges: object, text: str, *, request_id: str) -> str:
        assert request_id
        return self._reply(text)


def test_a_model_behind_a_server_is_talked_with_through_its_own_chat(tmp_path: Path) -> None:
    script = Script(models=["other", "qwen"], parts=["<think>嗯</think>", "你现在", "安全吗？"])
    with running(ScriptedServer(script)) as root:
        served = Served(server=f"{root}/v1", server_model="qwen")
        held = run(tmp_path, served=served, cards=["farmer-debt"])
        with pytest.raises(ModelUnusable, match="no model third"):
            run(tmp_path, served=served._replace(server_model="third"), is_resumed=True)
    assert held[0].exchanges[0] == Exchange(FARMER.opening, "你现在安全吗？")
    assert held[0].exchanges[1].text == FARMER.secret.says
    assert all(path.endswith("/chat/completions") for path, _ in script.asked)
    assert [message["role"] for message in script.asked[1][1]["messages"]] == ["system", "user", "assistant", "user"]
    assert simulate.load(tmp_path)[0]["model"] == "openai:qwen"


@pytest.mark.usefixtures("scripted_model")
def test_the_commands_write_reports_for_clinicians(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = ["--card", "farmer-debt", "--card", "exam-third-try", "--turns", "3"]
    for name, reply in (("a", "你说{text}，你现在安全吗？"), ("b", "首先运动。其次早睡。")):
        monkeypatch.setenv("MINDGLM_SCRIPTED_REPLY", reply)
        done = CliRunner().invoke(app, ["simulate", str(tmp_path / name), *cards])
        assert done.exit_code == 0, done.output
    with serving(lambda _: '{"better": "甲"}') as (_, address):
        verdict = [str(tmp_path / name) for name in ("verdict", "a", "b")]
        asked = ["pairwise", *verdict, "--judge", address.url, "--judge-model", "judge"]
        done = CliRunner().invoke(app, asked)
        again = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "report.zh.md" in done.stdout
    assert again.exit_code == 1
    assert again.stderr.endswith("holds results already: --resume goes on with them.\n")
    for name in ("a", "b", "verdict"):
        assert json.loads((tmp_path / name / "results.json").read_text("utf-8"))
        assert (tmp_path / name / "report.md").is_file()
