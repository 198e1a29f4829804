"""Compares the engine with the seed's loop, static batches and transformers' batching manager, with the same weights.

    python -m bench.engine                        # a random 173 M GLM, bfloat16, one thread
    python -m bench.engine --shape 6b --device cuda --dtype float16 --at 1 16 64 128

Prompts are real dialogues (bench/dialogues.jsonl, from SmileChat, CC0) through the window. Only requested tokens
count. Every method samples with the seed's temperature, top p and top k.
"""

import argparse
import json
import math
import resource
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import GlmForCausalLM

from bench.ways import WAYS, prefill_seconds, seed
from bench.workload import REPLY_LENGTHS, SHAPES, Job, bench_prompter, jobs_for, random_model
from worker.engine.prompter import Prompter
from worker.engine.quantized import quantize
from worker.model.hardware import prefer_huge_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method at one number of conversations: seconds, and useful tokens per second."""

    way: str
    conversations: int
    tokens_per_second: float
    first_p50: float | None = None
    first_p95: float | None = None
    ratio_to_seed: float | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    options = _options(arguments)
    prefer_huge_pages()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    model = random_model(options.shape, dtype=getattr(torch, options.dtype), device=device)
    if options.quantize is not None:
        quantize(model, options.quantize)
    prompter = bench_prompter(model)
    jobs = jobs_for(prompter, count=2 * max(options.at))
    rows = list(_measure(model, prompter, jobs, at=options.at, ways=options.ways, with_seed=not options.no_seed))
    report = {
        "model": f"{options.shape}, {sum(p.numel() for p in model.parameters()) / 1e6:.0f} M",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} thread(s)",
        "dtype": options.dtype,
        "prompt_tokens_mean": statistics.mean(len(job.ids) for job in jobs),
        "reply_tokens_mean": statistics.mean(REPLY_LENGTHS),
        "prefill_of_16_seconds": None if options.no_seed else prefill_seconds(model, jobs[:16]),
        "peak_memory_gib": _peak_memory(device),
        "rows": [asdict(row) for row in rows],
    }
    print(json.dumps(report, indent=1) if options.json else _table(report, rows))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="173m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--quantize", type=int, choices=[8, 4], default=None, help="bits of the weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--at", type=int, nargs="+", default=[1, 4, 16, 32], help="conversations at once")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--no-seed", action="store_true", help="do not measure the seed's way first")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def _measure(
    model: GlmForCausalLM,
    prompter: Prompter,
    jobs: Sequence[Job],
    *,
    at: Sequence[int],
    ways: Sequence[str],
    with_seed: bool,
) -> Iterator[Row]:
    base = seed(model, jobs[:6]) if with_seed else 1.0
    if with_seed:
        yield Row(way="seed", conversations=1, tokens_per_second=base, ratio_to_seed=1.0)
    for conversations in at:
        chosen = jobs[: max(6, 2 * conversations)]
        for way in ways:
            speed, firsts = WAYS[way](model, prompter, chosen, conversations)
            ordered = sorted(firsts)
            yield Row(
                way=way,
                conversations=conversations,
                tokens_per_second=speed,
                ratio_to_seed=speed / base if with_seed else None,
                first_p50=statistics.median(ordered) if ordered else None,
                first_p95=ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else None,
            )


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
