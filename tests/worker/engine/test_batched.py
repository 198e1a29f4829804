"""The batching engine keeps the port's promises, whatever the model's thread meets."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.worker.engine.builders import FakeRunner, Gate, bundled_tokenizer, last, machine, request, wait_until
from worker.engine.batched import Batched
from worker.engine.port import (
    Cancelled,
    DeadlineExceeded,
    EngineFailed,
    Exchange,
    Finish,
    Progress,
    PromptTooLong,
)
from worker.engine.work import OutOfMemory, Work

WORDS = bundled_tokenizer().text_ids("我在这里听你说")


@contextmanager
def running(runner: FakeRunner, *, capacity: int = 4, **sizes: int) -> Iterator[Batched]:
    engine = Batched(lambda: machine(runner, **sizes), capacity=capacity)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@contextmanager
def asking(engine: Batched, **changes: object) -> Iterator["Future[Progress]"]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(last, engine, request(**changes))  # type: ignore[arg-type]  # fields of a request


def failing(*, times: int, error: Callable[[], Exception] = RuntimeError) -> Callable[[Sequence[Work]], None]:
    left = times

    def fail(_works: Sequence[Work]) -> None:
        nonlocal left
        if left:
            left -= 1
            raise error()

    return fail


def test_the_reply_grows_and_only_the_last_progress_is_finished() -> None:
    with running(FakeRunner(WORDS)) as engine:
        seen = list(engine.stream(request(max_tokens=20)))
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(seen))
    assert [progress.finish for progress in seen[:-1]] == [None] * (len(seen) - 1)
    assert (seen[-1].finish, seen[-1].reply_tokens) == (Finish.LENGTH, 20)


def test_a_stop_id_ends_the_reply_and_is_not_part_of_it() -> None:
    with running(FakeRunner(WORDS, stop_every=12)) as engine:
        end = last(engine, request())
    assert end.finish is Finish.STOP
    assert "<eos>" not in end.text


def test_a_conversation_that_arrives_joins_at_the_next_step() -> None:
    gate = Gate()
    runner = FakeRunner(WORDS, before=gate)
    with running(runner) as engine, asking(engine, id="first", max_tokens=50) as first:
        assert gate.reached.wait(5)
        with asking(engine, id="second", max_tokens=50) as second:
            wait_until(lambda: len(engine._arrivals) == 1)
            gate.opened.set()
            assert first.result(5).finish is second.result(5).finish is Finish.LENGTH
    assert len(runner.steps[1]) == 2


def test_a_full_engine_serves_in_the_order_of_arrival_and_says_how_long() -> None:
    names = "甲乙丙丁"
    gate = Gate()
    runner = FakeRunner(WORDS, before=gate)
    with running(runner, capacity=1) as engine, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(last, engine, request(names[0]))]
        assert gate.reached.wait(5)
        for number, name in enumerate(names[1:], start=1):
            asked.append(pool.submit(last, engine, request(name)))
            wait_until(lambda number=number: len(engine._arrivals) == number)  # type: ignore[misc]  # bound early
        loads = []
        runner.before = lambda _works: loads.append(engine.load)
        gate.opened.set()
        for done in asked:
            done.result(5)
    said = bundled_tokenizer().text([id_ for works in runner.steps for work in works for id_ in work.tokens])
    assert [character for character in said if character in names] == list(names)
    assert max(load.waiting for load in loads) == 3
    assert max(load.wait_seconds for load in loads) > 0


@pytest.mark.parametrize("is_started", [True, False], ids=["while it grows", "while it waits for its place"])
def test_cancelling_ends_the_stream_at_once_and_frees_the_place_at_the_next_step(is_started: bool) -> None:
    gate = Gate()
    runner = FakeRunner(WORDS, before=gate)
    with running(runner, capacity=1) as engine, asking(engine, id="first", max_tokens=400) as first:
        assert gate.reached.wait(5)
        with asking(engine, id="second", max_tokens=400) as second:
            wait_until(lambda: "second" in engine._openings)
            cancelled = first if is_started else second
            engine.cancel("first" if is_started else "second")
            with pytest.raises(Cancelled):
                cancelled.result(1)  # the model's thread is still inside its step
            gate.opened.set()
            assert (second if is_started else first).result(5).finish is Finish.LENGTH
    assert all(len(works) == 1 for works in runner.steps)


def test_cancelling_an_unknown_id_is_ignored() -> None:
    with running(FakeRunner(WORDS)) as engine:
        engine.cancel("a")
        assert last(engine, request()).finish is Finish.LENGTH


def test_two_requests_of_one_id_are_both_served_and_both_cancelled() -> None:
    with running(FakeRunner(WORDS)) as engine, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(last, engine, request()) for _ in range(2)]
        assert [reply.result(5).finish for reply in both] == [Finish.LENGTH] * 2
    gate = Gate()
    with running(FakeRunner(WORDS, before=gate)) as engine, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(last, engine, request()) for _ in range(2)]
        wait_until(lambda: len(engine._openings._mailboxes.get("a", ())) == 2)
        engine.cancel("a")
        gate.opened.set()
        for reply in both:
            with pytest.raises(Cancelled):
                reply.result(5)


def test_a_late_reply_exceeds_its_deadline_even_if_the_model_hangs() -> None:
    gate = Gate()
    with running(FakeRunner(WORDS, before=gate)) as engine:
        with pytest.raises(DeadlineExceeded):
            last(engine, request(deadline_seconds=0.05))
        gate.opened.set()
        assert last(engine, request()).finish is Finish.LENGTH


def test_a_deadline_counts_from_the_call() -> None:
    with running(FakeRunner(WORDS)) as engine:
        stream = engine.stream(request(deadline_seconds=0.05))
        time.sleep(0.1)
        with pytest.raises(DeadlineExceeded):
            next(stream)


def test_closing_early_frees_the_place() -> None:
    with running(FakeRunner(WORDS), capacity=1) as engine:
        stream = engine.stream(request(max_tokens=400))
        next(stream)
        stream.close()
        assert last(engine, request(deadline_seconds=2, max_tokens=5)).finish is Finish.LENGTH


def test_a_broken_step_is_tried_once_more_and_the_reply_goes_on() -> None:
    runner = FakeRunner(WORDS)
    calls = 0

    def fail_on_the_third(_works: Sequence[Work]) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("客户的话")

    runner.before = fail_on_the_third
    with running(runner) as engine:
        broken = list(engine.stream(request()))
        runner.before = lambda _works: None
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

        def wait_and_fail(works: Sequence[Work]) -> None:
            gate(works)
            fail(works)

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

    def fail(works: Sequence[Work]) -> None:
        if any(poison in work.tokens for work in works):
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
    assert max(sum(len(work.tokens) for work in works) for works in runner.steps) == 32


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


def test_words_beyond_the_context_are_refused_before_they_are_queued() -> None:
    runner = FakeRunner(WORDS)
    with running(runner, context=64) as engine:
        with pytest.raises(PromptTooLong):
            last(engine, request("很" * 500))
        assert not runner.steps


def test_history_that_does_not_fit_goes_oldest_first_but_the_first_exchange_stays() -> None:
    runner = FakeRunner(WORDS)
    history = [Exchange("一" * 10, "甲"), Exchange("二" * 60, "乙"), Exchange("三" * 10, "丙")]
    with running(runner, context=90) as engine:
        last(engine, request("好", history=history, max_tokens=4))
    seen = bundled_tokenizer().text([id_ for works in runner.steps for id_ in works[0].tokens])
    assert "一一" in seen
    assert "二二" not in seen
    assert "三三" in seen


def test_a_cache_too_small_for_all_is_shared_by_turns() -> None:
    with running(FakeRunner(WORDS), blocks=24) as engine, ThreadPoolExecutor(4) as pool:
        replies = [pool.submit(last, engine, request("很" * 20, id=str(number), max_tokens=40)) for number in range(8)]
        assert [reply.result(10).reply_tokens for reply in replies] == [40] * 8


@pytest.mark.parametrize("max_tokens", [0, -5, 1])
def test_odd_lengths_give_one_token(max_tokens: int) -> None:
    with running(FakeRunner(WORDS)) as engine:
        assert last(engine, request("", max_tokens=max_tokens)).reply_tokens == 1


def test_stopping_cancels_what_is_open_and_ends_the_thread() -> None:
    engine = Batched(lambda: machine(FakeRunner(WORDS, before=lambda _works: time.sleep(0.01))), capacity=1)
    engine.start()
    with ThreadPoolExecutor(2) as pool:
        open_ = [pool.submit(last, engine, request(id=str(number), max_tokens=400)) for number in range(2)]
        wait_until(lambda: len(engine._openings) == 2)
        thread = engine._thread
        engine.stop()
        for reply in open_:
            with pytest.raises(Cancelled):
                reply.result(1)
    assert thread is not None
    assert not thread.is_alive()
    with pytest.raises(EngineFailed):
        last(engine, request())


def test_a_stopped_engine_can_be_started_again() -> None:
    runner = FakeRunner(WORDS)
    engine = Batched(lambda: machine(runner), capacity=1)
    for _ in range(2):
        engine.start()
        assert last(engine, request()).finish is Finish.LENGTH
        engine.stop()


def test_an_idle_engine_does_nothing() -> None:
    runner = FakeRunner(WORDS)
    with running(runner) as engine:
        last(engine, request())
        steps = len(runner.steps)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.005
        assert len(runner.steps) == steps


def test_a_second_turn_of_a_conversation_computes_only_what_is_new() -> None:
    runner = FakeRunner(WORDS)
    with running(runner) as engine:
        first = last(engine, request("我最近总是睡不好", max_tokens=10))
        begun = len(runner.steps)
        history = [Exchange("我最近总是睡不好", first.text)]
        last(engine, request("嗯", history=history, max_tokens=1))
    assert runner.steps[begun][0].start >= first.prompt_tokens - 4
