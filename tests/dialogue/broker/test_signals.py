from pathlib import Path

from structlog.testing import capture_logs

from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import Signals
from dialogue.storage.ids import new_id


def test_a_courier_of_the_same_process_is_woken_without_redis(tmp_path: Path) -> None:
    signals = Signals.connect(f"redis+socket://{tmp_path / 'nobody.sock'}")
    woken: list[str] = []
    with signals.heard_nearby("telegram", lambda: woken.append("telegram")):
        signals.owe(["telegram", "wechat"])
    signals.owe(["telegram"])
    assert woken == ["telegram"]
    signals.close()


def test_while_the_broker_is_away_only_the_first_ring_is_tried(tmp_path: Path) -> None:
    bell = Doorbell(f"redis+socket://{tmp_path / 'nobody.sock'}")
    with capture_logs() as logs:
        for _ in range(100):
            bell.ring([new_id()])
    assert [entry["event"] for entry in logs] == ["ring_failed"]
    bell.close()
