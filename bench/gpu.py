"""What a first GPU must show, in one command: correctness on CUDA, then the speed of MindGLM's 6B shape.

    python -m bench.gpu --json gpu.json              # at most nine minutes
    python -m bench.gpu --seconds 170 --at 1 16 64

Weights are random, of the published shape; no network is used. After each section the report is written anew, so that
a run that is cut short keeps what it measured. Sections that the remaining seconds do not allow are named as skipped.
"""

import argparse
import json
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from bench.gpu_correctness import correctness
from bench.gpu_speed import (
    Limits,
    attention_ways,
    copy_bandwidth,
    decode_steps,
    engine_speed,
    manager_speed,
    profile,
    record,
    runner_for,
    seed_speed,
)
from bench.workload import SHAPES, bench_prompter, jobs_for, random_model

Section = Callable[[], Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sections in order of importance and print the table."""
    options = _options(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench.gpu: torch finds no CUDA device; see `nvidia-smi`, or try --device cpu --shape tiny.")
    torch.manual_seed(0)
    report = _Report(options.json, seconds=options.seconds)
    device = torch.device(options.device)
    report.run("machine", lambda: _machine(device), needs=0)
    report.run("correctness", lambda: correctness(device), needs=15)
    _measure_ours(report, options, device)
    for count in options.manager_at:
        report.run(f"manager_{count}", partial(manager_speed, options.shape, options.dtype, count, device), needs=40)
    report.facts["total_seconds"] = round(report.elapsed(), 1)
    report.write()
    print(_table(report.facts))


def _measure_ours(report: "_Report", options: argparse.Namespace, device: torch.device) -> None:
    model = random_model(options.shape, dtype=getattr(torch, options.dtype), device=device)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    report.facts |= {"shape": options.shape, "dtype": options.dtype, "weights_gib": round(weights / 2**30, 2)}
    prompter = bench_prompter(model)
    jobs = jobs_for(prompter, count=2 * max(options.at))
    report.run("seed", partial(seed_speed, model, jobs), needs=15)
    bandwidth = report.facts.get("machine", {}).get("copy_bytes_per_second")
    limits = Limits.of(model, bandwidth=bandwidth)
    runner = runner_for(model, max(options.at))
    report.run("recording", partial(record, runner), needs=15)
    report.run("decode", partial(decode_steps, runner, sizes=options.at, limits=limits), needs=10)
    for count in options.at:
        report.run(f"engine_{count}", partial(engine_speed, runner, prompter, jobs, count), needs=15)
    report.run("attention", partial(attention_ways, device), needs=5)
    report.run("profile", partial(profile, runner), needs=10)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="6b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--at", type=int, nargs="+", default=[1, 16, 64, 128], help="conversations at once")
    parser.add_argument("--manager-at", type=int, nargs="*", default=[16], help="the same for transformers' manager")
    parser.add_argument("--seconds", type=float, default=520.0, help="no section begins that might outlast this")
    parser.add_argument("--json", type=Path, default=None, help="write the report here, after every section")
    return parser.parse_args(arguments)


class _Report:
    def __init__(self, file: Path | None, *, seconds: float) -> None:
        self.facts: dict[str, Any] = {}
        self._file = file
        self._seconds = seconds
        self._started = time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    def run(self, name: str, section: Section, *, needs: float) -> None:
        """Run it if `needs` seconds are left; a failure is recorded and does not end the run."""
        started = self.elapsed()
        if started + needs > self._seconds:
            self.facts[name] = {"skipped": "no time left"}
            return
        try:
            self.facts[name] = section()
        except Exception as error:  # noqa: BLE001  # the other sections are worth having
            self.facts[name] = {"failed": f"{type(error).__name__}: {error}"[:500], "at": traceback.format_exc()[-900:]}
        print(f"{name}: {self.elapsed() - started:.1f} s", flush=True)
        self.write()

    def write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps(self.facts, indent=1), encoding="utf-8")


def _machine(device: torch.device) -> dict[str, Any]:
    facts: dict[str, Any] = {"torch": torch.__version__, "transformers": transformers.__version__, "name": "CPU"}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "name": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "copy_bytes_per_second": copy_bandwidth(device),
        }
    return facts


def _table(facts: dict[str, Any]) -> str:
    lines = [json.dumps(facts.get("machine")), json.dumps(facts.get("correctness"), indent=1)]
    lines.append(f"{'':<14}{'at once':>8}{'tokens/s':>10}{'step ms':>9}{'of limit':>10}{'first p95':>11}")
    for row in facts.get("decode") or ():
        if isinstance(row, dict):
            share = f"{row['share_of_limit']:.0%}" if row.get("share_of_limit") else ""
            lines.append(
                f"{row['way']:<14}{row['at_once']:>8}{row['tokens_per_second']:>10.0f}{row['step_ms']:>9.2f}{share:>10}"
            )
    for name, found in facts.items():
        if isinstance(found, dict) and "tokens_per_second" in found:
            first = f"{found['first_p95']:.3f} s" if found.get("first_p95") else ""
            lines.append(f"{name:<14}{found['at_once']:>8}{found['tokens_per_second']:>10.0f}{'':>19}{first:>11}")
        elif isinstance(found, dict) and ("failed" in found or "skipped" in found):
            lines.append(f"{name:<14}{found.get('failed') or found.get('skipped')}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
