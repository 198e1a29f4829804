"""The engine on real weights: the bundled model, as the settings build it."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from dialogue.process.settings import INSTRUCTION
from tests.worker.engine.builders import last, request
from worker.engine.batched import Batched
from worker.engine.choose import build
from worker.engine.port import Cancelled, Finish, ModelUnusable
from worker.settings import WorkerSettings


@pytest.fixture(scope="module")
def engine() -> Iterator[Batched]:
    built = build(WorkerSettings(device="cpu", threads=1, concurrency=8, retrieval=False))
    assert isinstance(built, Batched)
    built.start()
    yield built
    built.stop()


def test_it_speaks_chinese_to_many_at_once(engine: Batched) -> None:
    def ask(number: int) -> str:
        return last(engine, request("我最近总是失眠", id=str(number), instruction=INSTRUCTION, max_tokens=30)).text

    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(ask, range(12)))
    assert all(sum("\u4e00" <= character <= "\u9fff" for character in reply) >= 2 for reply in replies)
    assert len(set(replies)) > 1
    assert not any(mark in reply for reply in replies for mark in ("求助者", "[Round", "<", "\ufffd"))


def test_what_was_shown_is_never_taken_back(engine: Batched) -> None:
    seen = list(engine.stream(request("我和同学吵架了", instruction=INSTRUCTION, max_tokens=60)))
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(seen))
    assert seen[-1].finish in set(Finish)


def test_an_unfinished_reply_is_cancelled_from_another_thread(engine: Batched) -> None:
    stream = engine.stream(request(instruction=INSTRUCTION, max_tokens=500))
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(engine.cancel, "a").result()
    with pytest.raises(Cancelled):
        list(stream)


def test_the_record_names_weights_and_prompt(engine: Batched) -> None:
    assert engine.model_version.startswith("bundled@")
    assert engine.prompt_version == "rounds-seed"


def test_mindglms_own_format_is_served(checkpoint: Path) -> None:
    built = build(WorkerSettings(model=str(checkpoint), device="cpu", dtype="float32", threads=1))
    built.start()
    seen = list(built.stream(request("我很累", max_tokens=12)))
    built.stop()
    assert seen[-1].prompt_tokens > 10
    assert seen[-1].reply_tokens <= 12


def test_a_wrong_model_is_refused_at_the_start(tmp_path: Path) -> None:
    built = build(WorkerSettings(model=str(tmp_path), device="cpu"))
    with pytest.raises(ModelUnusable, match="no config"):
        built.start()


FAKE = """
from tests.worker.engine.builders import FakeRunner, loaded_model
from worker.engine.batched import Batched
engine = Batched(lambda: loaded_model(FakeRunner([1])), capacity=1)
"""
REAL = """
from worker.engine.choose import build
from worker.settings import WorkerSettings
engine = build(WorkerSettings(device="cpu", threads=1))
"""


@pytest.mark.parametrize(
    "engine",
    [
        FAKE,
        pytest.param(REAL, marks=pytest.mark.e2e),
    ],
    ids=["with a fake runner", "with the bundled model"],
)
def test_a_process_that_forgets_to_stop_the_engine_still_ends(engine: str) -> None:
    code = f"{engine}engine.start()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


def test_building_an_engine_loads_no_heavy_library_and_a_server_needs_none() -> None:
    code = (
        "import sys; from worker.engine.choose import build; from worker.settings import WorkerSettings as S;"
        "build(S(engine='scripted')); build(S(engine='openai', openai_base_url='http://h/v1'));"
        "assert not {'tokenizers', 'torch', 'transformers'} & set(sys.modules);"
        "build(S(concurrency=4));"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)
