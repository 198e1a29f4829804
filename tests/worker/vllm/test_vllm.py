"""The managed vLLM servers, on stand-ins that fail in the ways that the real one does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import wait_until
from tests.worker.engine.builders import request
from tests.worker.vllm.serving import QUICK, Servers, is_alive
from worker.engine.port import Cancelled, EngineAway, EngineFailed, Finish, ModelUnusable
from worker.vllm.engine import Vllm


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    return Servers(tmp_path)


def said(engine: Vllm, *, affinity: str = "", id_: str = "a") -> str:
    return list(engine.stream(request("累", affinity=affinity, id=id_)))[-1].text


def test_a_reply_is_streamed_from_ids_of_our_own(servers: Servers) -> None:
    with servers.running() as engine:
        assert (engine.model_version, engine.prompt_version) == ("tiny@1", "rounds-seed")
        shown = list(engine.stream(request("累了")))
    assert (shown[-1].text, shown[-1].finish, shown[-1].prompt_tokens) == ("我在听你说。", Finish.STOP, 2)
    (asked,) = servers.asked(0)
    assert asked["prompt"] == [ord("累"), ord("了")]
    assert (asked["top_k"], asked["temperature"], asked["stream"]) == (50, 0.8, True)


def test_a_server_knows_nothing_of_our_secrets(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_SECRET_KEY", "hush")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    with servers.running():
        (start,) = servers.starts()
    given = start["environment"]
    assert "hush" not in str(given)
    assert "PYTHONPATH" not in given
    assert (given["VLLM_NO_USAGE_STATS"], given["HF_HUB_OFFLINE"]) == ("1", "1")
    assert given["VLLM_API_KEY"] not in " ".join(start["argv"])


def test_a_slow_start_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Servers(tmp_path, moods=[{"slow": 0.4}]).running() as engine:
        assert said(engine)
    assert "vllm_starting" in capsys.readouterr().out


def test_what_it_says_of_its_end_is_handed_on(tmp_path: Path) -> None:
    engine = Servers(tmp_path, moods=[{"dies": "ValueError: No available memory for the cache blocks."}]).engine()
    with pytest.raises(ModelUnusable, match=r"status 1 .*ValueError: No available memory") as refused:
        engine.start()
    assert "Engine core" not in str(refused.value)
    assert str(tmp_path / "vllm-0.log") in str(refused.value)
    assert "Engine core" in (tmp_path / "vllm-0.log").read_text()


def test_a_wrong_argument_is_told_after_the_first_start(tmp_path: Path) -> None:
    engine = Servers(tmp_path, extra=("--no-such-thing",)).engine()
    with pytest.raises(ModelUnusable, match="unrecognized arguments: --no-such-thing"):
        engine.start()
    assert "vllm_restarts" not in (tmp_path / "vllm-0.log").read_text()
    assert not engine.is_ready()


def test_a_command_that_is_not_there_is_told(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.worker.vllm.serving.STAND_IN", ["/no/vllm"])
    with pytest.raises(ModelUnusable, match="/no/vllm"):
        servers.engine().start()


def test_a_port_that_is_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    servers = Servers(tmp_path, moods=[{"finds_port_taken": True}, {}])
    with servers.running() as engine:
        assert said(engine)
    assert len(servers.starts()) == 2


def test_a_start_that_takes_too_long_is_told(tmp_path: Path) -> None:
    servers = Servers(tmp_path, moods=[{"slow": 60}])
    impatient = type(QUICK)(look=0.02, start=0.3, grace=0.1)
    with pytest.raises(ModelUnusable, match="MINDGLM_VLLM_START_SECONDS"):
        servers.engine(patience=impatient).start()
    assert not any(is_alive(start["pid"]) for start in servers.starts())


def test_a_server_killed_in_mid_reply_is_started_again(tmp_path: Path) -> None:
    servers = Servers(tmp_path, moods=[{"dies_after": 3}, {"slow": 0.3}])
    with servers.running() as engine:
        with pytest.raises(EngineFailed):
            list(engine.stream(request()))
        wait_until(lambda: not engine.is_ready())
        with pytest.raises(EngineAway):
            list(engine.stream(request()))
        assert engine.fatal_error() is None
        wait_until(engine.is_ready)
        assert said(engine) == "我在听你说。"


def test_a_server_that_is_not_well_is_started_again(servers: Servers) -> None:
    with servers.running() as engine:
        (servers.directory / "sick-0").touch()
        wait_until(lambda: len(servers.starts()) == 2 and engine.is_ready())
        assert not is_alive(servers.starts()[0]["pid"])


def test_a_cancelled_reply_ends_at_once(tmp_path: Path) -> None:
    with Servers(tmp_path, moods=[{"pace": 0.2}]).running() as engine:
        stream = engine.stream(request())
        next(stream)
        engine.cancel("a")
        with pytest.raises(Cancelled):
            list(stream)


@pytest.mark.parametrize("mood", [{"has_child": True}, {"has_child": True, "deaf": True}], ids=["polite", "deaf"])
def test_nothing_is_left_of_a_server_that_was_stopped(tmp_path: Path, mood: dict[str, bool]) -> None:
    servers = Servers(tmp_path, moods=[mood])
    with servers.running():
        pass
    assert not is_alive(servers.starts()[0]["pid"])
    wait_until(lambda: not is_alive(int((tmp_path / "child").read_text())))


def test_children_of_a_killed_server_end_before_the_next_start(tmp_path: Path) -> None:
    servers = Servers(tmp_path, moods=[{"has_child": True}, {}])
    with servers.running() as engine:
        os.kill(servers.starts()[0]["pid"], signal.SIGKILL)
        wait_until(lambda: len(servers.starts()) == 2 and engine.is_ready())
        assert not is_alive(int((tmp_path / "child").read_text()))


_OWNER = """
import sys
from pathlib import Path
from tests.worker.vllm.serving import Servers
Servers(Path(sys.argv[1]), moods=[{"has_child": True, "deaf": True}]).engine().start()
print("up", flush=True)
sys.stdin.read()
"""


def test_no_server_outlives_its_owner(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with owner:
        assert owner.stdout is not None
        wait_until((tmp_path / "child").exists, 30)
        owner.kill()
    server = Servers(tmp_path).starts()[0]["pid"]
    wait_until(lambda: not is_alive(server) and not is_alive(int((tmp_path / "child").read_text())))


def test_a_conversation_stays_with_one_server_until_that_is_gone(servers: Servers) -> None:
    names = [f"conversation {number}" for number in range(12)]

    def seen(number: int) -> list[int]:
        return [len(servers.asked(one)) for one in range(number)]

    with servers.running(count=2) as engine:
        for name in names:
            said(engine, affinity=name)
        first = seen(2)
        assert all(first), first  # spread over both
        for name in names:
            said(engine, affinity=name)
        assert seen(2) == [2 * count for count in first]
        os.kill(servers.starts()[0]["pid"], signal.SIGKILL)
        for name in names:  # at once, whether or not the death has been seen yet
            assert said(engine, affinity=name) == "我在听你说。"
        wait_until(lambda: len(servers.starts()) == 3)


def test_what_vllm_measures_is_shown_beside_our_own(servers: Servers) -> None:
    with servers.running(count=2) as engine:
        wait_until(lambda: engine.load.waiting == 6)
        families = {family.name: family for family in engine.metric_families()}
    assert set(families) == {"mindglm_vllm_up", "mindglm_vllm_starts", "vllm:num_requests_waiting"}
    waiting = families["vllm:num_requests_waiting"].samples
    assert [(sample.labels["server"], sample.value) for sample in waiting] == [("vllm-0", 3.0), ("vllm-1", 3.0)]
    assert [sample.value for sample in families["mindglm_vllm_up"].samples] == [1.0, 1.0]
