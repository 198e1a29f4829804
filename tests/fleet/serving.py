"""A real vLLM serves the bundled and a converted model; `python3 dev.py fleet` runs this, CI does not."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch

from dialogue.process.settings import INSTRUCTION
from tests.worker.engine import chatglm2
from tests.worker.engine.builders import request
from worker.engine.assemble import assemble
from worker.engine.batched import Batched
from worker.engine.choose import build
from worker.engine.completions import Server
from worker.engine.openai import OpenAI
from worker.engine.port import Cancelled, EngineFailed, Finish
from worker.model.convert import convert
from worker.model.examine import examine
from worker.model.find import BUNDLED
from worker.model.load import load_model
from worker.prompt import rounds
from worker.settings import WorkerSettings
from worker.tokenizer import load_tokenizer
from worker.vllm.engine import Vllm

PYTHON = os.environ["FLEET_PYTHON"]
START_SECONDS = 400
WORDS = ("我最近总是失眠", "和父母吵架了，心里很难受", "工作压力太大", "我不知道该怎么办", "谢谢你听我说")
WIDE = {"hidden_size": 256, "kv_channels": 64, "ffn_hidden_size": 512, "num_layers": 4, "seq_length": 1024}
"""vLLM has no kernels for heads of eight."""
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]


@dataclass
class RunningServer:
    """A server and its process."""

    url: str
    process: subprocess.Popen[bytes]

    def running(self) -> float:
        """Requests that it is computing."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("vllm:num_requests_running")]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@contextmanager
def serving(model: Path, log: Path) -> Iterator[RunningServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--model", model, "--served-model-name", "MindGLM", "--host", "127.0.0.1", "--port", port]
    limits = ["--dtype", "float32", "--max-model-len", 512, "--enforce-eager"]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "0",
        "PYTHONPATH": "",
    }
    with log.open("wb") as written:
        process = subprocess.Popen(
            [PYTHON, "-m", "vllm.entrypoints.openai.api_server", *map(str, [*words, *limits])],
            env=environment,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    server = RunningServer(f"http://127.0.0.1:{port}", process)
    try:
        wait(lambda: answers(server), seconds=START_SECONDS)
        yield server
    finally:
        kill(server)


def answers(server: RunningServer) -> bool:
    assert server.process.poll() is None, "vLLM ended while it started"
    try:
        return httpx.get(f"{server.url}/health").is_success
    except httpx.TransportError:
        return False


def kill(server: RunningServer) -> None:
    """With all its processes, at once."""
    if server.process.poll() is None:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def wait(holds: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def asking(server: RunningServer) -> Iterator[OpenAI]:
    engine = OpenAI(Server(base_url=f"{server.url}/v1"), capacity=4)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(BUNDLED, tmp_path_factory.mktemp("vllm") / "log") as server:
        yield server


def greedy_equal(server: RunningServer, directory: Path, *, tokens: int = 40) -> list[bool]:
    """Whether vLLM's ids equal transformers', prompt by prompt."""
    model: Any = load_model(examine(directory), dtype="float32", device=torch.device("cpu"))
    tokenizer = load_tokenizer(directory, has_prefix=True)
    equal = []
    for words in WORDS:
        pieces = list(rounds([], words, instruction=""))
        ids = tokenizer.prompt_ids(pieces)
        body = {
            "model": "MindGLM",
            "prompt": "".join(piece.text for piece in pieces),
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        answer = httpx.post(f"{server.url}/v1/completions", json=body, timeout=300).raise_for_status().json()
        written = model.generate(
            torch.tensor([ids]),
            do_sample=False,
            max_new_tokens=tokens,
            eos_token_id=None,
            guidance_scale=1.0,  # the bundled model's own is not read by vLLM
        )
        choice = answer["choices"][0]
        equal.append((choice["prompt_token_ids"], choice["token_ids"]) == (ids, written[0, len(ids) :].tolist()))
    return equal


def test_greedy_replies_of_the_bundled_model_equal_ours(bundled: RunningServer) -> None:
    assert all(greedy_equal(bundled, BUNDLED))


def test_greedy_replies_of_a_converted_model_equal_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WIDE.items():
        monkeypatch.setitem(chatglm2.CONFIG, name, value)
    convert(chatglm2.write(tmp_path / "original"), tmp_path / "native")
    with serving(tmp_path / "native", tmp_path / "log") as server:
        assert all(greedy_equal(server, tmp_path / "native"))


def test_replies_are_streamed(bundled: RunningServer) -> None:
    with asking(bundled) as engine:
        assert engine.prompt_version == "rounds-seed"
        shown = list(engine.stream(request(WORDS[0], max_tokens=30, deadline_seconds=120.0)))
    texts = [progress.text for progress in shown]
    assert len(texts) > 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert shown[-1].finish in {Finish.STOP, Finish.LENGTH}
    assert shown[-1].prompt_tokens > 0


def test_a_cancelled_request_ends_there_too(bundled: RunningServer) -> None:
    with asking(bundled) as engine:
        stream = engine.stream(request(WORDS[1], max_tokens=400, deadline_seconds=120.0))
        next(stream)
        engine.cancel("a")
        with pytest.raises(Cancelled):
            list(stream)
        wait(lambda: bundled.running() == 0, seconds=30)


@contextmanager
def managed(home: Path, model: Path | None) -> Iterator[Vllm]:
    """The `vllm` engine with a server that it starts itself; greedy."""
    settings = WorkerSettings(
        engine="vllm",
        home=home,
        model=str(model) if model is not None else None,
        device="cpu",
        dtype="float32",
        top_k=1,
        vllm_command=f"{PYTHON} -m vllm.entrypoints.openai.api_server",
        vllm_arguments="--enforce-eager",
    )
    engine = build(settings)
    assert isinstance(engine, Vllm)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@contextmanager
def our_own() -> Iterator[Batched]:
    settings = WorkerSettings(dtype="float32", top_k=1, guidance=1, retrieval=False)
    engine = Batched(lambda: assemble(settings, capacity=1), capacity=1)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def _on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0")


def servers_of(directory: Path) -> list[psutil.Process]:
    """The servers of models in this directory, with their children."""
    named = [process for process in psutil.process_iter(["cmdline"]) if str(directory) in str(process.info["cmdline"])]
    servers = [process for process in named if "guardian.py" not in str(process.info["cmdline"])]
    return [one for server in servers for one in (server, *server.children(recursive=True))]


@pytest.mark.usefixtures("_on_one_core")
def test_replies_of_a_managed_server_equal_our_own(tmp_path: Path) -> None:
    with managed(tmp_path, None) as engine, our_own() as ours:
        for words in WORDS:
            asked = request(words, max_tokens=30, deadline_seconds=120.0, instruction=INSTRUCTION)
            expected, found = list(ours.stream(asked))[-1], list(engine.stream(asked))[-1]
            assert (found.text, found.prompt_tokens) == (expected.text, expected.prompt_tokens)
        wait(lambda: any(family.name.startswith("vllm:") for family in engine.metric_families()), seconds=30)


@pytest.mark.usefixtures("_on_one_core")
def test_a_managed_server_that_is_killed_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WIDE.items():
        monkeypatch.setitem(chatglm2.CONFIG, name, value)
    with managed(tmp_path / "home", chatglm2.write(tmp_path / "original")) as engine:
        stream = engine.stream(request(WORDS[2], max_tokens=400, deadline_seconds=120.0))
        next(stream)
        for process in servers_of(tmp_path / "home"):
            process.kill()
        with pytest.raises(EngineFailed):
            list(stream)
        wait(lambda: not engine.is_ready(), seconds=10)
        wait(engine.is_ready, seconds=START_SECONDS)
        assert list(engine.stream(request(WORDS[3], deadline_seconds=120.0)))[-1].finish is not None
    assert servers_of(tmp_path / "home") == []


def test_a_server_that_is_killed_in_mid_reply_fails_that_reply(tmp_path: Path) -> None:
    with serving(BUNDLED, tmp_path / "log") as server, asking(server) as engine:
        stream = engine.stream(request(WORDS[2], max_tokens=400, deadline_seconds=120.0))
        next(stream)
        kill(server)
        with pytest.raises(EngineFailed):
            list(stream)
        assert engine.fatal_error() is None
