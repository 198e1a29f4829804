"""The scripted engine keeps the port's promises."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.patience import wait_until
from worker.engine.choose import build
from worker.engine.port import Cancelled, DeadlineExceeded, EngineFailed, Exchange, Finish, Progress, Request
from worker.engine.scripted import Scripted
from worker.settings import WorkerSettings


def request(text: str = "你好", **changes: object) -> Request:
    values: dict[str, object] = {
        "id": "a",
        "instruction": "",
        "history": (),
        "text": text,
        "max_tokens": 100,
        "deadline_seconds": 10.0,
    }
    return Request(**(values | changes))  # type: ignore[arg-type]  # one builder for all fields


def last(engine: Scripted, asked: Request) -> Progress:
    return list(engine.stream(asked))[-1]


def test_the_template_shows_the_words_and_the_turns() -> None:
    engine = Scripted(reply="{turns} {text}")
    assert last(engine, request("{turns}", history=[Exchange("早", "早")])).text == "1 {turns}"


def test_the_reply_grows_and_the_last_piece_is_finished() -> None:
    pieces = list(Scripted(reply="一二三四五六七八九十").stream(request()))
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(pieces))
    assert [piece.finish for piece in pieces] == [None] * (len(pieces) - 1) + [Finish.STOP]


def test_a_long_reply_is_cut_at_max_tokens() -> None:
    end = last(Scripted(reply="一二三四五"), request(max_tokens=3))
    assert (end.text, end.finish, end.reply_tokens) == ("一二三", Finish.LENGTH, 3)


def test_the_delay_is_spread_over_the_pieces() -> None:
    engine = Scripted(reply="一二三四", delay_seconds=0.2)
    begun_at = time.monotonic()
    arrivals = [time.monotonic() - begun_at for _ in engine.stream(request())]
    assert arrivals[0] < 0.15
    assert arrivals[-1] >= 0.2


def test_cancelling_ends_the_wait_at_once() -> None:
    engine = Scripted(delay_seconds=60)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(last, engine, request())
        wait_until(lambda: "a" in engine._open)
        engine.cancel("a")
        with pytest.raises(Cancelled):
            reply.result(timeout=1)
    assert not engine._open
    assert not engine._cancelled


def test_an_unknown_id_is_not_remembered() -> None:
    engine = Scripted()
    engine.cancel("a")
    assert last(engine, request()).finish is Finish.STOP


def test_a_late_reply_exceeds_its_deadline() -> None:
    with pytest.raises(DeadlineExceeded):
        last(Scripted(delay_seconds=60), request(deadline_seconds=0.05))


def test_a_request_beyond_the_capacity_waits_for_a_place() -> None:
    engine = Scripted(delay_seconds=60, capacity=1)
    held = engine.stream(request(id="held"))
    with ThreadPoolExecutor() as pool:
        holder = pool.submit(next, held)
        wait_until(lambda: engine._running == 1)
        with pytest.raises(DeadlineExceeded):
            last(engine, request(id="late", deadline_seconds=0.05))
        engine.cancel("held")
        with pytest.raises(Cancelled):
            holder.result(timeout=1)


def test_closing_early_frees_the_place() -> None:
    engine = Scripted(capacity=1)
    stream = engine.stream(request())
    next(stream)
    stream.close()
    assert last(engine, request(deadline_seconds=1)).finish is Finish.STOP


def test_stopping_cancels_what_is_open() -> None:
    engine = Scripted(delay_seconds=60)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(last, engine, request())
        wait_until(lambda: "a" in engine._open)
        engine.stop()
        with pytest.raises(Cancelled):
            reply.result(timeout=1)


def test_each_nth_reply_breaks_half_way() -> None:
    engine = Scripted(reply="一二三四", fail_every=2)
    assert last(engine, request()).finish is Finish.STOP
    seen: list[Progress] = []
    with pytest.raises(EngineFailed):
        seen.extend(engine.stream(request()))
    assert last(engine, request()).finish is Finish.STOP


def test_many_threads_never_run_more_than_the_capacity() -> None:
    engine = Scripted(reply="一", delay_seconds=0.01, capacity=3)
    most = 0
    lock = threading.Lock()

    def watch(number: int) -> None:
        nonlocal most
        for _ in engine.stream(request(id=str(number))):
            with lock:
                most = max(most, engine._running)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(watch, range(32)))
    assert 1 <= most <= 3
    assert not engine._open


def test_the_settings_build_it() -> None:
    settings = WorkerSettings(engine="scripted", scripted_reply="好", concurrency=2)
    engine = build(settings)
    assert engine.capacity == 2
    assert list(engine.stream(request()))[-1].text == "好"
