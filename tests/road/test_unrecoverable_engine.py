import os
from pathlib import Path

from tests.patience import wait_until
from tests.road.harness import road


def test_a_worker_whose_engine_is_beyond_help_ends_and_its_successor_answers(tmp_path: Path, redis_url: str) -> None:
    with road(tmp_path / "home", broker_url=redis_url) as opened:
        opened.start_courier()
        broken = opened.start_worker(MINDGLM_SCRIPTED_BREAK_AFTER="1")
        opened.say("一")
        opened.wait_for_answers(1)
        opened.say("二")
        wait_until(lambda: broken.process.poll() is not None, 40)
        assert broken.wait() == os.EX_SOFTWARE
        assert "engine_unrecoverable" in broken.log.read_text()
        opened.start_worker()
        assert opened.wait_for_answers(2) == ["收到：一", "收到：二"]
