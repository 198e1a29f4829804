"""The generation methods that `bench.engine` compares; each returns useful tokens per second and first-token times."""

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, GlmForCausalLM

from bench.workload import Job
from worker.engine.batched import Batched
from worker.engine.blocks import BlockPool
from worker.engine.port import Request
from worker.engine.prompter import Prompter
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.engine.schedule import Scheduler, TokenSequence
from worker.engine.step_loop import LoadedModel

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.8, "top_k": 50}
BLOCK_SIZE = 16
CACHE_TOKENS = 2048  # for each conversation
WARM_TOKENS = 4

Way = Callable[[GlmForCausalLM, Prompter, Sequence[Job], int], tuple[float, list[float]]]


def seed(model: GlmForCausalLM, jobs: Sequence[Job]) -> float:
    """One conversation at a time, as `model.chat` did."""
    _generate(model, jobs[:1], length=WARM_TOKENS)
    started = time.perf_counter()
    for job in jobs:
        _generate(model, [job], length=job.request.max_tokens)
    return _useful(jobs) / (time.perf_counter() - started)


def _ours(
    model: GlmForCausalLM, prompter: Prompter, jobs: Sequence[Job], conversations: int
) -> tuple[float, list[float]]:
    """The engine behind its port: as many threads as conversations, each asks again when it is answered.

    First tokens are those of the first round, which arrives together.
    """

    answered = converse(our_engine(model, prompter, conversations), jobs, conversations)
    return answered.tokens_per_second, answered.first_seconds


def our_engine(model: GlmForCausalLM, prompter: Prompter, conversations: int) -> Batched:
    """It runs a copy of the model."""

    def assemble() -> LoadedModel:
        block_count = conversations * CACHE_TOKENS // BLOCK_SIZE
        return LoadedModel(
            runner=_runner(model, block_count),
            prompter=prompter,
            stop_ids=frozenset(),
            model_version="bench",
            block_count=block_count,
            block_size=BLOCK_SIZE,
            step_tokens=_step_tokens(model),
        )

    return Batched(assemble, capacity=conversations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """`first_seconds`: until each first token of the first round; `processor_seconds`: of this process, a token."""

    tokens_per_second: float
    first_seconds: list[float]
    processor_seconds: float


def converse(engine: Batched, jobs: Sequence[Job], conversations: int) -> Answered:
    """Start the engine, answer the jobs from `conversations` threads, stop it."""
    engine.start()
    list(engine.stream(_short(jobs[-1].request)))
    firsts: list[float] = []
    waiting = list(reversed(jobs))
    lock = threading.Lock()
    tokens = 0
    started, spent = time.perf_counter(), time.process_time()

    def converse() -> None:
        nonlocal tokens
        is_first = True
        while True:
            with lock:
                if not waiting:
                    return
                request = waiting.pop().request
            for progress in engine.stream(request):
                if is_first:
                    firsts.append(time.perf_counter() - started)
                    is_first = False
                last = progress.reply_tokens
            with lock:
                tokens += last

    _in_threads(converse, conversations)
    seconds, spent = time.perf_counter() - started, time.process_time() - spent
    engine.stop()
    return Answered(tokens_per_second=tokens / seconds, first_seconds=firsts, processor_seconds=spent / tokens)


def _bare(
    model: GlmForCausalLM, _prompter: Prompter, jobs: Sequence[Job], conversations: int
) -> tuple[float, list[float]]:
    """Scheduler and runner alone, without threads, text and the port: shows the overhead of the rest of the engine."""
    block_count = conversations * CACHE_TOKENS // BLOCK_SIZE
    runner = _runner(model, block_count)
    scheduler = Scheduler(
        BlockPool(count=block_count, size=BLOCK_SIZE), max_running=conversations, max_tokens=_step_tokens(model)
    )
    warm = [TokenSequence(tokens=list(jobs[-1].ids), max_length=len(jobs[-1].ids) + WARM_TOKENS)]
    _run_bare(scheduler, runner, warm)
    sequences = [TokenSequence(tokens=list(job.ids), max_length=len(job.ids) + job.request.max_tokens) for job in jobs]
    started = time.perf_counter()
    _run_bare(scheduler, runner, sequences)
    return _useful(jobs) / (time.perf_counter() - started), []


def _run_bare(scheduler: Scheduler, runner: Runner, sequences: Sequence[TokenSequence]) -> None:
    for sequence in sequences:
        scheduler.add(sequence)
    while len(scheduler):
        scheduled = scheduler.schedule()
        inputs = [
            RunnerInput(
                part.sequence.tokens[part.start : part.stop], part.start, part.sequence.blocks, part.needs_token
            )
            for part in scheduled
        ]
        drawn = iter(runner.run(inputs))
        for part in scheduled:
            needs_token = part.needs_token
            scheduler.mark_computed(part)
            if needs_token:
                part.sequence.tokens.append(next(drawn) or 0)
                if len(part.sequence.tokens) >= part.sequence.max_length:
                    scheduler.remove(part.sequence)


def _runner(model: GlmForCausalLM, block_count: int) -> Runner:
    sampler = Sampler(Sampling(**SAMPLING), device=model.device)
    return Runner(copy.deepcopy(model), sampler=sampler, block_count=block_count, block_size=BLOCK_SIZE)


def _step_tokens(model: GlmForCausalLM) -> int:
    return 256 if model.device.type == "cpu" else 2048


def _static(size: int) -> Way:
    def way(
        model: GlmForCausalLM, _prompter: Prompter, jobs: Sequence[Job], _conversations: int
    ) -> tuple[float, list[float]]:
        started = time.perf_counter()
        for start in range(0, len(jobs), size):
            batch = jobs[start : start + size]
            _generate(model, batch, length=max(job.request.max_tokens for job in batch))
        return _useful(jobs) / (time.perf_counter() - started), []

    return way


def _manager(
    model: GlmForCausalLM, _prompter: Prompter, jobs: Sequence[Job], conversations: int
) -> tuple[float, list[float]]:
    """transformers' ContinuousBatchingManager, alone, with the settings that were fastest on a CPU."""
    configuration: Any = ContinuousBatchingConfig
    batched: Any = copy.deepcopy(model)
    batched.set_attn_implementation("sdpa")
    manager = batched.init_continuous_batching(
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
            do_sample=True, eos_token_id=None, pad_token_id=0, **SAMPLING
        ),
        continuous_batching_config=configuration(
            **{_page_size(): BLOCK_SIZE},
            num_blocks=conversations * CACHE_TOKENS // BLOCK_SIZE,
            max_batch_tokens=_step_tokens(model),
            max_requests_per_batch=conversations,
            auto_switch_to_flash=False,
            use_async_batching=False,
        ),
    )
    manager.start()
    manager.add_request(jobs[-1].ids, max_new_tokens=WARM_TOKENS)
    _finished(manager, 1)
    started = time.perf_counter()
    for job in jobs:
        manager.add_request(job.ids, max_new_tokens=job.request.max_tokens)
    tokens = _finished(manager, len(jobs))
    seconds = time.perf_counter() - started
    manager.stop(block=True)
    return tokens / seconds, []


def _page_size() -> str:
    """Called block_size before transformers 5.19."""
    names = {field.name for field in fields(ContinuousBatchingConfig)}
    return "page_size" if "page_size" in names else "block_size"


def _finished(manager: Any, count: int) -> int:
    tokens = 0
    while count:
        result = manager.get_result(timeout=60)
        if result is not None and result.is_finished():
            tokens += len(result.generated_tokens)
            count -= 1
    return tokens


@torch.inference_mode()
def _generate(model: GlmForCausalLM, jobs: Sequence[Job], *, length: int) -> None:
    ids, mask = _padded(model, jobs)
    library: Any = model
    library.generate(ids, attention_mask=mask, do_sample=True, max_new_tokens=length, min_new_tokens=length, **SAMPLING)


@torch.inference_mode()
def prefill_seconds(model: GlmForCausalLM, jobs: Sequence[Job]) -> float:
    ids, mask = _padded(model, jobs)
    model(ids, attention_mask=mask, logits_to_keep=1)
    started = time.perf_counter()
    model(ids, attention_mask=mask, logits_to_keep=1)
    return time.perf_counter() - started


def _padded(model: GlmForCausalLM, jobs: Sequence[Job]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(job.ids) for job in jobs)
    ids = torch.tensor([[0] * (width - len(job.ids)) + job.ids for job in jobs], device=model.device)
    mask = torch.tensor([[0] * (width - len(job.ids)) + [1] * len(job.ids) for job in jobs], device=model.device)
    return ids, mask


def _short(request: Request) -> Request:
    return Request(
        id="warm",
        instruction=request.instruction,
        history=request.history,
        text=request.text,
        max_tokens=WARM_TOKENS,
        deadline_seconds=3600,
    )


def _useful(jobs: Sequence[Job]) -> int:
    return sum(job.request.max_tokens for job in jobs)


def _in_threads(target: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=target) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


WAYS: dict[str, Way] = {
    "ours": _ours,
    "bare": _bare,
    "static8": _static(8),
    "static16": _static(16),
    "manager": _manager,
}
