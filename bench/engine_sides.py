"""The two sides of bench.vllm: our engine and a vLLM server, each as a process that answers the same jobs."""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil
import torch
from transformers import GlmForCausalLM

from bench.ways import SAMPLING, WARM_TOKENS, converse, our_engine
from bench.workload import Job, bench_prompter, jobs_for
from worker.engine.quantized import Bits, quantize
from worker.model.hardware import prefer_huge_pages
from worker.vllm.command import SERVED_NAME
from worker.vllm.replica import free_port

_START_SECONDS = 600
_ANSWER_SECONDS = 600
_MIN_JOBS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one round; processor seconds are those of a token."""

    tokens_per_second: float
    processor_seconds: float


class Side(Protocol):
    """An engine that can be asked."""

    def measure(self, conversations: int) -> Measured:
        """Answer the jobs, that many at once."""


class BenchFailed(Exception):
    """A side cannot be measured."""


def jobs_of(model: GlmForCausalLM, conversations: int) -> Sequence[Job]:
    """The same for every side."""
    return jobs_for(bench_prompter(model), count=max(_MIN_JOBS, 2 * conversations))


@contextmanager
def our_side(directory: Path, *, core: int | None, bits: Bits | None) -> Iterator[Side]:
    """Our engine in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, directory, core, bits), daemon=True)
    process.start()
    try:
        yield _Ours(here)
    finally:
        here.send(0)
        process.join()


class _Ours:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def measure(self, conversations: int) -> Measured:
        self._connection.send(conversations)
        found: Measured = self._connection.recv()
        return found


def _serve(connection: Connection, directory: Path, core: int | None, bits: Bits | None) -> None:
    _hold_to(core)
    prefer_huge_pages()
    torch.set_num_threads(1)
    model: Any = GlmForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = None
    if bits is not None:
        quantize(model, bits)
    prompter = bench_prompter(model)
    while conversations := connection.recv():
        jobs = jobs_of(model, conversations)
        answered = converse(our_engine(model, prompter, conversations), jobs, conversations)
        connection.send(
            Measured(tokens_per_second=answered.tokens_per_second, processor_seconds=answered.processor_seconds)
        )


def _hold_to(core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})


@contextmanager
def vllm_side(directory: Path, python: str, *, core: int | None) -> Iterator[Side]:
    """A vLLM server, compiled as it is by default, with a cache of 1 GiB. Raises `BenchFailed`."""
    model: Any = GlmForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
    url = f"http://127.0.0.1:{(port := free_port())}"
    words = ["--model", str(directory), "--served-model-name", SERVED_NAME, "--host", "127.0.0.1", "--port", str(port)]
    limits = ["--dtype", "bfloat16", "--max-model-len", "2048"]
    bound = {} if core is None else {"VLLM_CPU_OMP_THREADS_BIND": str(core)}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    fixed = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_SERVER_DEV_MODE": "1", "OMP_NUM_THREADS": "1"}
    log = directory / "vllm.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [python, "-m", "vllm.entrypoints.openai.api_server", *words, *limits],
            env={**kept, **fixed, **bound},
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    server = psutil.Process(process.pid)
    try:
        if core is not None:
            server.cpu_affinity([core])
        with httpx.Client(base_url=url, timeout=_ANSWER_SECONDS) as client:
            _await(client, process, log)
            yield _Vllm(client, server, model)
    finally:
        _end(server)


def _await(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(1)
    raise BenchFailed("vLLM did not start:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:]))


def _end(server: psutil.Process) -> None:
    if not server.is_running():
        return
    processes = [*server.children(recursive=True), server]
    server.terminate()
    _, alive = psutil.wait_procs(processes, timeout=20)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)


class _Vllm:
    def __init__(self, client: httpx.Client, server: psutil.Process, model: GlmForCausalLM) -> None:
        self._client = client
        self._server = server
        self._model = model

    def measure(self, conversations: int) -> Measured:
        jobs = jobs_of(self._model, conversations)
        self._client.post("/reset_prefix_cache").raise_for_status()
        self._answer(jobs[-1], WARM_TOKENS)
        began, spent = time.perf_counter(), _spent(self._server)
        with ThreadPoolExecutor(conversations) as people:
            tokens = sum(people.map(lambda job: self._answer(job, job.request.max_tokens), jobs))
        return Measured(
            tokens_per_second=tokens / (time.perf_counter() - began),
            processor_seconds=(_spent(self._server) - spent) / tokens,
        )

    def _answer(self, job: Job, length: int) -> int:
        body = {
            "model": SERVED_NAME,
            "prompt": job.ids,
            "max_tokens": length,
            "ignore_eos": True,
            **SAMPLING,
        }
        answer = self._client.post("/v1/completions", json=body).raise_for_status().json()
        tokens: int = answer["usage"]["completion_tokens"]
        return tokens


def _spent(server: psutil.Process) -> float:
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)
