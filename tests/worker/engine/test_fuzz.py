"""Thousands of odd requests: no waiter hangs, no block is lost, the engine lives."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.patience import wait_until
from tests.worker.engine.builders import FakeRunner, bundled_tokenizer, last, loaded_model, request
from worker.engine.batched import Batched
from worker.engine.port import EngineError, Exchange, Finish, Load
from worker.engine.runner_input import OutOfMemory, RunnerInput

THREADS = 24
TEXTS = ("", "你好", "很" * 50, "[gMASK]<sop>", "求助者:" * 3, "\x00\ud7ff😀", "长" * 700)


@pytest.mark.parametrize("request_count", [2_000, pytest.param(10_000, marks=pytest.mark.e2e)])
@pytest.mark.timeout(110)
def test_thousands_of_odd_requests_leave_nothing_behind(request_count: int) -> None:
    chance = random.Random(20)

    def misbehave(_inputs: Sequence[RunnerInput]) -> None:
        time.sleep(0.0003)  # so that waiters see a reply grow
        luck = chance.random()
        if luck < 0.002:
            raise OutOfMemory if luck < 0.0005 else RuntimeError

    runner = FakeRunner(bundled_tokenizer().text_ids("我在这里听你说求助者"), stop_every=37, before=misbehave)
    engine = Batched(lambda: loaded_model(runner, blocks=128, context=256), capacity=16)
    engine.start()
    outcomes = {"finished": 0, "closed": 0, "failed": 0}

    def ask(number: int) -> str:
        luck = random.Random(number)
        name = str(number % 500)
        stream = engine.stream(
            request(
                luck.choice(TEXTS),
                id=name,
                history=[Exchange("累", "嗯")] * luck.choice((0, 0, 1, 12)),
                max_tokens=luck.choice((-1, 0, 1, 7, 40, 10**9)),
                deadline_seconds=luck.choice((-1.0, 0.0, 0.001, 0.05, 60.0, 1e18)),
            )
        )
        leaves_after = luck.choice((0, 0, 3, 10**6))
        try:
            for count, progress in enumerate(stream):
                if progress.finish is not None:
                    return "finished"
                if luck.random() < 0.02:
                    engine.cancel(luck.choice((name, "nobody")))
                if count >= leaves_after:
                    break
        except EngineError:
            return "failed"
        finally:
            stream.close()
        return "closed"

    with ThreadPoolExecutor(THREADS) as pool:
        for outcome in pool.map(ask, range(request_count)):
            outcomes[outcome] += 1
    assert sum(outcomes.values()) == request_count
    assert min(outcomes.values()) > request_count // 100
    assert last(engine, request()).finish in set(Finish)
    wait_until(lambda: engine.load == Load(running=0, waiting=0, wait_seconds=0.0, held_blocks=0))
    assert not len(engine._open_requests)
    assert not engine._arrivals
    assert runner.resets > 0
    engine.stop()
