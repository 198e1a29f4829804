"""A turn across bot and worker, as a collector sees it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.road.harness import road


def spans(text: str) -> Iterator[dict[str, object]]:
    """What the console exporter printed among other lines."""
    for line in text.splitlines():
        if line.startswith('{"name"'):
            yield json.loads(line)


def test_bot_and_worker_tell_one_trace_that_holds_no_words(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINDGLM_TRACES", "console")
    with road(tmp_path / "home", broker_url=redis_url) as opened:
        opened.start_courier()
        worker = opened.start_worker()
        receipt = opened.say("我最近总是睡不好")
        opened.wait_for_answers(1)
        worker.terminate()
        assert worker.wait() == 0
        opened.services.meters.traces.close()
    told = [*spans(capsys.readouterr().err), *spans(worker.log.read_text())]
    assert receipt.turn_id is not None
    contexts = [span["context"] for span in told]
    assert {str(context["trace_id"]) for context in contexts if isinstance(context, dict)} == {
        f"0x{receipt.turn_id.hex}"
    }
    names = {str(span["name"]) for span in told}
    assert names >= {"receive", "wait", "generate", "answer"}
    assert "睡不好" not in json.dumps(told, ensure_ascii=False)
