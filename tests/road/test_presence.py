from pathlib import Path

from dialogue.telemetry.heartbeat import Presence, present
from tests.patience import wait_until
from tests.road.harness import Road, road


def workers(opened: Road) -> list[Presence]:
    with opened.services.database.read() as session:
        return [one for one in present(session) if one.identity.kind == "worker"]


def test_a_worker_is_seen_at_work_and_not_any_more_when_it_was_stopped(tmp_path: Path, redis_url: str) -> None:
    with road(tmp_path / "home", broker_url=redis_url) as opened:
        process = opened.start_worker()
        wait_until(lambda: workers(opened), 10)
        (worker,) = workers(opened)
        assert worker.identity.name == "celery"
        assert worker.identity.pid == process.process.pid
        assert worker.figures["model"] == "scripted"
        assert worker.figures["capacity"] == 32
        process.terminate()
        assert process.wait() == 0
        assert workers(opened) == []
