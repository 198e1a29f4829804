"""The speeds that bench/gpu.py measures; each function gives plain numbers."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import GlmForCausalLM

from bench.ways import BLOCK_SIZE, SAMPLING, WAYS, converse, seed
from bench.workload import Job, bench_prompter, jobs_for, random_model
from worker.engine.batched import Batched
from worker.engine.prompter import Prompter
from worker.engine.runner import CacheShape, Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.engine.step_loop import LoadedModel

_CONTEXT = 600  # tokens of each sequence in the measured decode steps: prompt and half a reply
_STEPS = 30
_COPIED_BYTES = 4 * 2**30
_CACHE_TOKENS = 1024  # for each conversation
_BLOCKS = _CACHE_TOKENS // BLOCK_SIZE
_STEP_TOKENS = 2048
_SHOWN_KERNELS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a decode step must read at least: the layers' and the head's weights, and the cache, once each."""

    weight_bytes: int
    token_bytes: int
    bytes_per_second: float | None

    @classmethod
    def of(cls, model: GlmForCausalLM, *, bandwidth: float | None) -> "Limits":
        parts = (*model.model.layers.parameters(), *model.lm_head.parameters())
        return cls(
            weight_bytes=sum(p.numel() * p.element_size() for p in parts),
            token_bytes=CacheShape.of(model).bytes_per_token(model.dtype),
            bytes_per_second=bandwidth,
        )

    def share(self, seconds: float, *, sequences: int) -> float | None:
        """How much of the step's time its reading would take at the bandwidth of a copy."""
        if self.bytes_per_second is None:
            return None
        return (self.weight_bytes + sequences * _CONTEXT * self.token_bytes) / self.bytes_per_second / seconds


def copy_bandwidth(device: torch.device) -> float:
    """Bytes read and written per second by a large copy on the device."""
    source = torch.empty(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED_BYTES / _timed(lambda: target.copy_(source), times=5)


def runner_for(model: GlmForCausalLM, conversations: int) -> Runner:
    """A runner that takes the model over."""
    return Runner(
        model,
        sampler=Sampler(Sampling(**SAMPLING), device=model.device),
        block_count=conversations * _BLOCKS,
        block_size=BLOCK_SIZE,
        max_decoding=conversations,
    )


def record(runner: Runner) -> dict[str, Any]:
    """Seconds to record the graphs, which a start of the worker takes longer."""
    started = time.perf_counter()
    runner.warm_up(_CACHE_TOKENS)
    return {"seconds": time.perf_counter() - started, "failure": runner.replay_failure}


def seed_speed(model: GlmForCausalLM, jobs: Sequence[Job]) -> dict[str, Any]:
    """The seed's way: one conversation at a time through `generate`."""
    return {"at_once": 1, "tokens_per_second": seed(model, jobs[:4])}


def decode_steps(runner: Runner, *, sizes: Sequence[int], limits: Limits) -> list[dict[str, Any]]:
    """Decode steps alone, sampling included, by graph and without."""
    return [
        row
        for size in sizes
        for row in (
            _step(runner, size, limits, way="graph", may_replay=True),
            _step(runner, size, limits, way="eager", may_replay=False),
        )
    ]


def _step(runner: Runner, size: int, limits: Limits, *, way: str, may_replay: bool) -> dict[str, Any]:
    inputs = _decode_inputs(size)
    seconds = _timed(lambda: runner.sample(inputs, may_replay=may_replay), times=_STEPS)
    return {
        "way": way,
        "at_once": size,
        "tokens_per_second": size / seconds,
        "step_ms": 1e3 * seconds,
        "share_of_limit": limits.share(seconds, sequences=size),
    }


def _decode_inputs(size: int) -> list[RunnerInput]:
    return [
        RunnerInput([7 + number], _CONTEXT - 1, range(number * _BLOCKS, (number + 1) * _BLOCKS), needs_token=True)
        for number in range(size)
    ]


def engine_speed(runner: Runner, prompter: Prompter, jobs: Sequence[Job], count: int) -> dict[str, Any]:
    """The engine behind its port, with as many askers as conversations; see `bench.ways`."""
    loaded = LoadedModel(
        runner=runner,
        prompter=prompter,
        stop_ids=frozenset(),
        model_version="bench",
        block_count=runner.block_count,
        block_size=BLOCK_SIZE,
        step_tokens=_STEP_TOKENS,
    )
    engine = Batched(lambda: loaded, capacity=count)
    answered = converse(engine, jobs[: max(6, 2 * count)], count)
    ordered = sorted(answered.first_seconds)
    return {
        "at_once": count,
        "tokens_per_second": answered.tokens_per_second,
        "first_p50": ordered[len(ordered) // 2],
        "first_p95": ordered[math.ceil(0.95 * len(ordered)) - 1],
    }


def manager_speed(shape: str, dtype: str, count: int, device: torch.device) -> dict[str, Any]:
    """transformers' ContinuousBatchingManager over the same jobs."""
    torch.cuda.empty_cache()
    model = random_model(shape, dtype=getattr(torch, dtype), device=device)
    prompter = bench_prompter(model)
    speed, _ = WAYS["manager"](model, prompter, jobs_for(prompter, count=max(6, 2 * count)), count)
    return {"at_once": count, "tokens_per_second": speed}


def attention_ways(device: torch.device) -> list[dict[str, Any]]:
    """One layer's decode attention over gathered keys, 6B shape, in milliseconds: as one operation, and as four."""
    return list(_attention(device))


def _attention(device: torch.device) -> Iterator[dict[str, Any]]:
    dtype = torch.bfloat16
    for size in (1, 16, 64, 128):
        query = torch.randn(size, 2, 16, 128, dtype=dtype, device=device)
        keys = torch.randn(size, 2, _CACHE_TOKENS, 128, dtype=dtype, device=device)
        mask = torch.zeros(size, 1, 1, _CACHE_TOKENS, dtype=dtype, device=device)
        flat = torch.zeros(size * 2, 1, _CACHE_TOKENS, dtype=dtype, device=device)
        ways: dict[str, Callable[[], object]] = {
            "fused": partial(scaled_dot_product_attention, query, keys, keys, attn_mask=mask, scale=0.1),
            "products": partial(_by_products, query, keys, flat),
        }
        with torch.inference_mode():
            yield {"at_once": size} | {name: 1e3 * _timed(way, times=_STEPS) for name, way in ways.items()}


def _by_products(query: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    folded, own = query.flatten(0, 1), keys.flatten(0, 1)
    scores = torch.baddbmm(mask, folded, own.transpose(1, 2), alpha=0.1)
    return torch.bmm(scores.softmax(dim=-1), own)


def profile(runner: Runner) -> dict[str, Any]:
    """The kernels that take most of a decode step of 64 and of a prefill of nine prompts."""
    prompts = [
        RunnerInput(list(range(3, 223)), 0, range(number * _BLOCKS, (number + 1) * _BLOCKS), needs_token=True)
        for number in range(min(9, runner.block_count // _BLOCKS))
    ]
    size = min(64, runner.block_count // _BLOCKS)
    prefill = _timed(lambda: runner.sample(prompts), times=3)
    return {
        "prefill_ms": 1e3 * prefill,
        "prefill_tokens": sum(len(item.tokens) for item in prompts),
        "decode": _kernels(lambda: runner.sample(_decode_inputs(size))),
        "prefill": _kernels(lambda: runner.sample(prompts)),
    }


def _kernels(work: Callable[[], object]) -> list[dict[str, Any]]:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recording

    activity = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
    work()
    with recording(activities=[activity]) as found:
        work()
        _wait()
    events: Any = found.key_averages()
    times = [(str(event.key), event.count, float(_microseconds(event))) for event in events]
    ordered = sorted(times, key=lambda row: -row[2])[:_SHOWN_KERNELS]
    return [{"kernel": name[:90], "count": count, "microseconds": round(spent)} for name, count, spent in ordered]


def _microseconds(event: Any) -> float:
    return event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total  # type: ignore[no-any-return]  # torch says nothing of its events


def _timed(work: Callable[[], object], *, times: int) -> float:
    """Seconds of one call, the mean of `times` after one to warm up."""
    work()
    _wait()
    started = time.perf_counter()
    for _ in range(times):
        work()
    _wait()
    return (time.perf_counter() - started) / times


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
