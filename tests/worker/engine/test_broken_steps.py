"""A step of the model that breaks ends as few replies as it can, and never the engine."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.patience import wait_until
from tests.worker.engine.builders import FakeRunner, Gate, asking, bundled_tokenizer, last, request, running
from worker.engine.port import EngineFailed, Finish
from worker.engine.runner_input import OutOfMemory, RunnerInput

WORDS = bundled_tokenizer().text_ids("我在这里听你说")


def failing(*, times: int, error: Callable[[], Exception] = RuntimeError) -> Callable[[Sequence[RunnerInput]], None]:
    left = times

    def fail(_inputs: Sequence[RunnerInput]) -> None:
        nonlocal left
        if left:
            left -= 1
            raise error()

    return fail


def test_a_broken_step_is_tried_once_more_and_the_reply_goes_on() -> None:
    runner = FakeRunner(WORDS)
    calls = 0

    def fail_on_the_third(_inputs: Sequence[RunnerInput]) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("客户的话")

    runner.before = fail_on_the_third
    with running(runner) as engine:
        broken = list(engine.stream(request()))
        runner.before = lambda _inputs: None
        whole = last(engine, request())
    assert runner.resets == 1
    assert broken[-1] == whole
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(broken))


def test_a_step_that_breaks_twice_fails_its_replies_and_the_engine_lives_on(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Exception:
        return RuntimeError("客户的话")

    with running(FakeRunner(WORDS, before=failing(times=2, error=fail))) as engine:
        with pytest.raises(EngineFailed) as failed:
            last(engine, request())
        assert last(engine, request()).finish is Finish.LENGTH
    assert "客户的话" not in str(failed.value) + caplog.text + "".join(capfd.readouterr())


def test_who_waits_for_a_place_is_not_blamed_for_a_broken_step() -> None:
    runner = FakeRunner(WORDS, before=failing(times=2))
    with running(runner, capacity=1) as engine, ThreadPoolExecutor(2) as pool:
        gate = Gate()
        fail = runner.before

        def wait_and_fail(inputs: Sequence[RunnerInput]) -> None:
            gate(inputs)
            fail(inputs)

        runner.before = wait_and_fail
        first = pool.submit(last, engine, request(id="first"))
        assert gate.reached.wait(5)
        second = pool.submit(last, engine, request(id="second"))
        wait_until(lambda: len(engine._arrivals) == 1)
        gate.opened.set()
        with pytest.raises(EngineFailed):
            first.result(5)
        assert second.result(5).finish is Finish.LENGTH


def test_a_conversation_that_breaks_every_step_takes_no_other_with_it() -> None:
    (poison,) = bundled_tokenizer().text_ids("毒")

    def fail(inputs: Sequence[RunnerInput]) -> None:
        if any(poison in work.tokens for work in inputs):
            raise RuntimeError

    gate = Gate()
    runner = FakeRunner(WORDS, before=gate)
    with running(runner, capacity=8) as engine, ThreadPoolExecutor(6) as pool:
        held = pool.submit(last, engine, request("你好", max_tokens=300))
        assert gate.reached.wait(5)
        texts = ["早", "累", "毒", "困", "烦"]
        replies = {text: pool.submit(last, engine, request(text, id=text)) for text in texts}
        wait_until(lambda: len(engine._arrivals) == len(texts))
        runner.before = fail
        gate.opened.set()
        with pytest.raises(EngineFailed):
            replies.pop("毒").result(5)
        assert {reply.result(5).finish for reply in [held, *replies.values()]} == {Finish.LENGTH}
    assert runner.resets == 2


def test_a_cache_that_cannot_be_made_anew_fails_its_replies_only() -> None:
    runner = FakeRunner(WORDS, before=failing(times=1))
    real_reset, runner_reset = runner.reset, failing(times=1)

    def reset() -> None:
        runner_reset([])
        real_reset()

    runner.reset = reset  # type: ignore[method-assign]  # a cache that fails once
    with running(runner) as engine:
        with pytest.raises(EngineFailed):
            last(engine, request())
        assert last(engine, request()).finish is Finish.LENGTH


def test_no_memory_for_a_step_makes_the_steps_smaller() -> None:
    runner = FakeRunner(WORDS, before=failing(times=1, error=OutOfMemory))
    with running(runner, step_tokens=64) as engine:
        assert last(engine, request("很" * 100)).finish is Finish.LENGTH
    assert max(sum(len(work.tokens) for work in inputs) for inputs in runner.steps) == 32


def test_an_answer_that_is_no_number_fails_that_reply_alone() -> None:
    gate = Gate()
    runner = FakeRunner(WORDS, before=gate, unusable=1)
    with running(runner) as engine, asking(engine, id="first") as first:
        assert gate.reached.wait(5)
        with asking(engine, id="second") as second:
            wait_until(lambda: len(engine._arrivals) == 1)
            gate.opened.set()
            with pytest.raises(EngineFailed):
                first.result(5)
            assert second.result(5).finish is Finish.LENGTH
    assert runner.resets == 0
