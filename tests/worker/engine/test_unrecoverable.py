"""What no second try mends is said, so that the process can end and a new one start."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.patience import wait_until
from tests.worker.engine.builders import FakeRunner, bundled_tokenizer, last, loaded_model, request
from worker.engine import batched
from worker.engine.batched import Batched
from worker.engine.port import EngineFailed
from worker.engine.runner_input import OutOfMemory, RunnerInput

WORDS = bundled_tokenizer().text_ids("我在听")


@contextmanager
def running(before: Callable[[Sequence[RunnerInput]], None]) -> Iterator[Batched]:
    engine = Batched(lambda: loaded_model(FakeRunner(WORDS, before=before)), capacity=4)
    engine.start()
    yield engine
    engine.stop()


def always(error: type[Exception]) -> Callable[[Sequence[RunnerInput]], None]:
    def fail(_inputs: Sequence[RunnerInput]) -> None:
        raise error

    return fail


def ask_in_vain(engine: Batched, *ids: str) -> None:
    for id_ in ids:
        with pytest.raises(EngineFailed):
            last(engine, request(id=id_))


def test_a_device_that_breaks_every_reply_is_beyond_help() -> None:
    with running(always(RuntimeError)) as engine:
        ask_in_vain(engine, "first", "second")
        assert engine.fatal_error() is None
        ask_in_vain(engine, "third")
        wait_until(lambda: engine.fatal_error() is not None)
        assert "RuntimeError" in str(engine.fatal_error())


def test_one_reply_that_breaks_again_and_again_proves_nothing() -> None:
    with running(always(RuntimeError)) as engine:
        ask_in_vain(engine, "poison", "poison", "poison", "poison")
        assert engine.fatal_error() is None


def test_memory_that_somebody_took_may_come_back() -> None:
    with running(always(OutOfMemory)) as engine:
        ask_in_vain(engine, "first", "second", "third", "fourth")
        assert engine.fatal_error() is None


def test_a_step_that_never_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "_STUCK_SECONDS", 0.0)
    troubles: list[str | None] = []
    with running(lambda _inputs: troubles.append(engine.fatal_error())) as engine:
        last(engine, request())
        assert "has not ended" in str(troubles[0])
        wait_until(lambda: engine.fatal_error() is None)
