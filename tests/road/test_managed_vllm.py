"""A worker with a vLLM server of its own: the server is killed in mid-reply, and nothing is lost."""

import json
import shlex
from pathlib import Path

import pytest

from tests.patience import wait_until
from tests.road.harness import road
from tests.worker.engine import chatglm2
from tests.worker.vllm.serving import STAND_IN, Servers, is_alive


@pytest.mark.e2e
def test_a_reply_is_written_again_after_its_server_was_killed(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "servers").mkdir()
    servers = Servers(tmp_path / "servers", moods=[{"dies_after": 3}, {"slow": 1}])
    with road(tmp_path / "home", broker_url=redis_url) as opened:
        opened.start_courier()
        worker = opened.start_worker(
            MINDGLM_ENGINE="vllm",
            MINDGLM_MODEL=str(chatglm2.write(tmp_path / "model")),
            MINDGLM_VLLM_COMMAND=shlex.join(STAND_IN),
            STAND_IN=str(servers.directory),
        )
        opened.say("一")
        assert opened.wait_for_answers(1) == ["我在听你说。"]
        assert len(servers.starts()) == 2
        events = [json.loads(line)["event"] for line in worker.log.read_text().splitlines() if line.startswith("{")]
        assert {"model_converting", "vllm_ready", "generation_failed", "vllm_ended"} <= set(events)
        opened.say("二")
        opened.wait_for_answers(2)
        worker.terminate()
        assert worker.wait() == 0
    wait_until(lambda: not any(is_alive(start["pid"]) for start in servers.starts()))
