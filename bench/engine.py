"""The engine against the seed's way, static batches and transformers' own batching manager: same weights, one process.

    python -m bench.engine                        # a random 173 M GLM, bfloat16, one thread
    python -m bench.engine --shape 6b --device cuda --dtype float16 --at 1 16 64 128

Prompts are real dialogues (bench/dialogues.jsonl, from SmileChat, CC0) through the window. Only useful tokens count:
those that were asked for. Every way samples with the seed's temperature, top p and top k.
"""

import argparse
import copy
import json
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, GlmConfig, GlmForCausalLM

from dialogue.settings import INSTRUCTION
from dialogue.window import trim
from worker.engine.batched import Batched
from worker.engine.blocks import BlockPool
from worker.engine.crew import Machine
from worker.engine.port import Exchange, Request
from worker.engine.prompter import Prompter
from worker.engine.runner import Runner
from worker.engine.sampling import Sampler, Sampling
from worker.engine.schedule import Scheduler, TokenSequence
from worker.engine.work import Work
from worker.model.find import BUNDLED
from worker.prompt import rounds, seed_prompt
from worker.tokenizer import load_tokenizer

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.8, "top_k": 50}
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "head_dim": 16,
    },
    "173m": {
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "head_dim": 64,
    },
    "6b": {
        "hidden_size": 4096,
        "intermediate_size": 13696,
        "num_hidden_layers": 28,
        "num_attention_heads": 32,
        "head_dim": 128,
    },
}
LENGTHS = (10, 25, 40, 60, 80, 120)
BLOCK_SIZE = 16
CACHE_TOKENS = 2048  # for each conversation
WARM_TOKENS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way at one number of conversations; seconds, and useful tokens per second."""

    way: str
    conversations: int
    tokens_per_second: float
    first_p50: float | None = None
    first_p95: float | None = None
    ratio_to_seed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A prompt's ids, what they were rendered from, and how many tokens are asked for."""

    ids: list[int]
    request: Request


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    model = _random_model(options.shape, dtype=getattr(torch, options.dtype), device=device)
    prompter = _prompter(model)
    jobs = _jobs(prompter, count=2 * max(options.at))
    rows = list(_measure(model, prompter, jobs, at=options.at, ways=options.ways))
    report = {
        "model": f"{options.shape}, {sum(p.numel() for p in model.parameters()) / 1e6:.0f} M",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} thread(s)",
        "dtype": options.dtype,
        "prompt_tokens_mean": statistics.mean(len(job.ids) for job in jobs),
        "reply_tokens_mean": statistics.mean(LENGTHS),
        "prefill_of_16_seconds": _prefill_seconds(model, jobs[:16]),
        "peak_memory_gib": _peak_memory(device),
        "rows": [asdict(row) for row in rows],
    }
    print(json.dumps(report, indent=1) if options.json else _table(report, rows))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="173m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--at", type=int, nargs="+", default=[1, 4, 16, 32], help="conversations at once")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def _random_model(shape: str, *, dtype: torch.dtype, device: torch.device) -> GlmForCausalLM:
    config = GlmConfig(
        **SHAPES[shape],
        vocab_size=65024,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        pad_token_id=0,
        eos_token_id=2,
    )
    torch.set_default_dtype(dtype)
    with device:
        model = GlmForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = None  # lengths are fixed, so that every way has the same work
    model.train(mode=False)
    return model


def _prompter(model: GlmForCausalLM) -> Prompter:
    return Prompter(
        tokenizer=load_tokenizer(BUNDLED, has_prefix=True),
        render=lambda history, text, instruction: rounds(history, text, instruction=instruction),
        context=model.config.max_position_embeddings,
        version="bench",
    )


def _jobs(prompter: Prompter, *, count: int) -> list[Job]:
    lines = (Path(__file__).parent / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    jobs = []
    for number in range(count):
        pairs = json.loads(lines[number % len(lines)])
        turns = number % (len(pairs) - 1)
        seen = [
            (seed_prompt(text, instruction=INSTRUCTION if first else ""), reply, text)
            for first, (text, reply) in zip([True, *[False] * turns], pairs[:turns], strict=False)
        ]
        history = [Exchange(text, reply) for _, reply, text in trim(seen, instruction=INSTRUCTION)]
        request = Request(
            id=str(number),
            instruction=INSTRUCTION,
            history=history,
            text=pairs[turns][0],
            max_tokens=LENGTHS[number % len(LENGTHS)],
            deadline_seconds=3600,
        )
        jobs.append(Job(ids=prompter.ids(request), request=request))
    return jobs


def _measure(
    model: GlmForCausalLM, prompter: Prompter, jobs: Sequence[Job], *, at: Sequence[int], ways: Sequence[str]
) -> Iterator[Row]:
    seed = _seed(model, jobs[:6])
    yield Row(way="seed", conversations=1, tokens_per_second=seed, ratio_to_seed=1.0)
    for conversations in at:
        chosen = jobs[: max(6, 2 * conversations)]
        for way in ways:
            speed, firsts = WAYS[way](model, prompter, chosen, conversations)
            ordered = sorted(firsts)
            yield Row(
                way=way,
                conversations=conversations,
                tokens_per_second=speed,
                ratio_to_seed=speed / seed,
                first_p50=statistics.median(ordered) if ordered else None,
                first_p95=ordered[int(0.95 * (len(ordered) - 1))] if ordered else None,
            )


def _seed(model: GlmForCausalLM, jobs: Sequence[Job]) -> float:
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

    def assemble() -> Machine:
        block_count = conversations * CACHE_TOKENS // BLOCK_SIZE
        return Machine(
            runner=_runner(model, block_count),
            prompter=prompter,
            stop_ids=frozenset(),
            model_version="bench",
            block_count=block_count,
            block_size=BLOCK_SIZE,
            step_tokens=_step_tokens(model),
        )

    engine = Batched(assemble, capacity=conversations)
    engine.start()
    list(engine.stream(_short(jobs[-1].request)))
    firsts: list[float] = []
    waiting = list(reversed(jobs))
    lock = threading.Lock()
    tokens = 0
    started = time.perf_counter()

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
    seconds = time.perf_counter() - started
    engine.stop()
    return tokens / seconds, firsts


def _bare(
    model: GlmForCausalLM, _prompter: Prompter, jobs: Sequence[Job], conversations: int
) -> tuple[float, list[float]]:
    """Scheduler and runner alone, without threads, text and the port: what the engine around them costs."""
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
        planned = scheduler.plan()
        works = [
            Work(part.sequence.tokens[part.start : part.stop], part.start, part.sequence.blocks, part.is_last)
            for part in planned
        ]
        drawn = iter(runner.run(works))
        for part in planned:
            is_last = part.is_last
            scheduler.done(part)
            if is_last:
                part.sequence.tokens.append(next(drawn) or 0)
                if len(part.sequence.tokens) >= part.sequence.max_length:
                    scheduler.remove(part.sequence)


def _runner(model: GlmForCausalLM, block_count: int) -> Runner:
    sampler = Sampler(Sampling(**SAMPLING), device=model.device)
    return Runner(copy.deepcopy(model), sampler=sampler, block_count=block_count, block_size=BLOCK_SIZE)


def _step_tokens(model: GlmForCausalLM) -> int:
    return 256 if model.device.type == "cpu" else 2048


def _static(size: int) -> "Way":
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
    batched: Any = copy.deepcopy(model)
    batched.set_attn_implementation("paged|eager" if model.device.type == "cpu" else "sdpa")
    manager = batched.init_continuous_batching(
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
            do_sample=True, eos_token_id=None, pad_token_id=0, **SAMPLING
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=BLOCK_SIZE,
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


def _finished(manager: Any, count: int) -> int:
    tokens = 0
    while count:
        result = manager.get_result(timeout=60)
        if result is not None and result.is_finished():
            tokens += len(result.generated_tokens)
            count -= 1
    return tokens


Way = Callable[[GlmForCausalLM, Prompter, Sequence[Job], int], tuple[float, list[float]]]
WAYS: dict[str, Way] = {
    "ours": _ours,
    "bare": _bare,
    "static8": _static(8),
    "static16": _static(16),
    "manager": _manager,
}


@torch.inference_mode()
def _generate(model: GlmForCausalLM, jobs: Sequence[Job], *, length: int) -> None:
    ids, mask = _padded(model, jobs)
    library: Any = model
    library.generate(ids, attention_mask=mask, do_sample=True, max_new_tokens=length, min_new_tokens=length, **SAMPLING)


@torch.inference_mode()
def _prefill_seconds(model: GlmForCausalLM, jobs: Sequence[Job]) -> float:
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


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**30


def _table(report: dict[str, Any], rows: Sequence[Row]) -> str:
    facts = "\n".join(f"{name}: {value}" for name, value in report.items() if name != "rows")
    head = f"{'way':<10}{'at once':>8}{'tokens/s':>10}{'x seed':>8}{'first p50':>11}{'first p95':>11}"
    lines = [
        f"{row.way:<10}{row.conversations:>8}{row.tokens_per_second:>10.1f}{row.ratio_to_seed or 0:>8.2f}"
        f"{_seconds(row.first_p50):>11}{_seconds(row.first_p95):>11}"
        for row in rows
    ]
    return "\n".join([facts, "", head, *lines])


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


if __name__ == "__main__":
    main()
