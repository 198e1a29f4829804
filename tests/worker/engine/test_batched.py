"""The batching engine keeps the port's promises, whatever the model's thread meets."""

import threading
import time
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.patience import wait_until
from tests.worker.engine.builders import (
    FakeRunner,
    Gate,
    asking,
    bundled_tokenizer,
    last,
    loaded_model,
    request,
    running,
)
from worker.engine.batched import Batched
from worker.engine.port import (
    Cancelled,
    DeadlineExceeded,
    EngineFailed,
    Exchange,
    Finish,
    PromptTooLong,
)

WORDS = bundled_tokenizer().text_ids("我在这里听你说")


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
        runner.before = lambda _inputs: loads.append(engine.load)
        gate.opened.set()
        for done in asked:
            done.result(5)
    said = bundled_tokenizer().text([id_ for inputs in runner.steps for work in inputs for id_ in work.tokens])
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
            wait_until(lambda: "second" in engine._open_requests)
            cancelled = first if is_started else second
            engine.cancel("first" if is_started else "second")
            with pytest.raises(Cancelled):
                cancelled.result(1)  # the model's thread is still inside its step
            gate.opened.set()
            assert (second if is_started else first).result(5).finish is Finish.LENGTH
    assert all(len(inputs) == 1 for inputs in runner.steps)


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
        wait_until(lambda: len(engine._open_requests._collectors.get("a", ())) == 2)
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
        called_at = time.monotonic()
        wait_until(lambda: time.monotonic() > called_at + 0.05)
        with pytest.raises(DeadlineExceeded):
            next(stream)


def test_closing_early_frees_the_place() -> None:
    with running(FakeRunner(WORDS), capacity=1) as engine:
        stream = engine.stream(request(max_tokens=400))
        next(stream)
        stream.close()
        assert last(engine, request(deadline_seconds=2, max_tokens=5)).finish is Finish.LENGTH


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
    seen = bundled_tokenizer().text([id_ for inputs in runner.steps for id_ in inputs[0].tokens])
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
    engine = Batched(lambda: loaded_model(FakeRunner(WORDS, before=lambda _inputs: time.sleep(0.01))), capacity=1)
    engine.start()
    with ThreadPoolExecutor(2) as pool:
        open_ = [pool.submit(last, engine, request(id=str(number), max_tokens=400)) for number in range(2)]
        wait_until(lambda: len(engine._open_requests) == 2)
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
    engine = Batched(lambda: loaded_model(runner), capacity=1)
    for _ in range(2):
        engine.start()
        assert last(engine, request()).finish is Finish.LENGTH
        engine.stop()


class Waits(threading.Condition):
    """Records each wait of the engine's thread: until it is woken (None), or for so many seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.by_thread: list[tuple[threading.Thread, float | None]] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.by_thread.append((threading.current_thread(), timeout))
        return super().wait(timeout)


def test_an_idle_engine_sleeps_until_it_is_woken() -> None:
    runner = FakeRunner(WORDS)
    engine = Batched(lambda: loaded_model(runner), capacity=1)
    engine._changed = waits = Waits()
    engine.start()
    for asked in range(3):
        wait_until(lambda asked=asked: len(waits.by_thread) == asked + 1)  # type: ignore[misc]  # bound early
        last(engine, request())
    wait_until(lambda: len(waits.by_thread) == 4)
    thread = engine._thread
    engine.stop()
    assert waits.by_thread == [(thread, None)] * 4


def test_a_second_turn_of_a_conversation_computes_only_what_is_new() -> None:
    runner = FakeRunner(WORDS)
    with running(runner) as engine:
        first = last(engine, request("我最近总是睡不好", max_tokens=10))
        begun = len(runner.steps)
        history = [Exchange("我最近总是睡不好", first.text)]
        last(engine, request("嗯", history=history, max_tokens=1))
    assert runner.steps[begun][0].start >= first.prompt_tokens - 4


class Choosing:
    """Has two replies."""

    def reply_to(self, _history: Sequence[Exchange], _text: str, *, avoided: Container[str]) -> str:
        return next(reply for reply in ("失去它一定很难过。", "我在听。") if reply not in avoided)


def test_a_chosen_reply_is_given_whole_and_the_model_reads_nothing() -> None:
    runner = FakeRunner(WORDS)
    engine = Batched(lambda: loaded_model(runner, chooser=Choosing()), capacity=1)
    engine.start()
    (progress,) = engine.stream(request("我的猫死了"))
    assert (progress.text, progress.finish, progress.reply_tokens) == ("失去它一定很难过。", Finish.STOP, 0)
    assert not runner.steps
    assert last(engine, replace(request("我的猫死了"), avoided=["失去它一定很难过。"])).text == "我在听。"
    engine.stop()
    with pytest.raises(EngineFailed):
        last(engine, request("我的猫死了"))
