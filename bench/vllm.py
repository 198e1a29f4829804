"""Our engine beside a real vLLM: the same weights, prompts and lengths, each on the same one core, by turns.

    python -m bench.vllm --vllm .fleet/bin/python                  # the Python that `dev.py fleet` installs
    python -m bench.vllm --vllm .fleet/bin/python --at 16 --rounds 3

A random GLM of 173 M parameters in bfloat16, as in bench.engine; ours once more with int8. Each side is a process that
is held to `--core`; the questions come from the other cores. vLLM is asked without streaming, which costs it least.
Prefix caches are empty when a round begins. Beside tokens a second, which other work on the machine disturbs, stands
the processor time of a token, over all processes of a side.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from bench.engine_sides import Measured, Side, our_side, vllm_side
from bench.intervals import median_interval
from bench.workload import SHAPES, random_model
from worker.model.find import BUNDLED

_OURS = "ours"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends, too
    if options.core is not None:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {options.core} or {options.core})
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-")))
        write_model(options.shape, directory)
        sides = {
            _OURS: stack.enter_context(our_side(directory, core=options.core, bits=None)),
            "ours int8": stack.enter_context(our_side(directory, core=options.core, bits=8)),
        }
        if options.vllm is not None:
            sides["vllm"] = stack.enter_context(vllm_side(directory, options.vllm, core=options.core))
        for at in options.at:
            lines = list(compared(sides, at, rounds=options.rounds))
            print("\n".join(map(json.dumps, lines)) if options.json else _table(lines), flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", metavar="PYTHON", help="a Python that has vLLM; without it only ours is measured")
    parser.add_argument("--shape", choices=SHAPES, default="173m")
    parser.add_argument("--at", type=int, nargs="+", default=[1, 16], help="conversations at once")
    parser.add_argument("--rounds", type=int, default=7, help="six or more give an interval of 95 %%")
    parser.add_argument("--core", type=int, default=0, help="where both run")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def write_model(shape: str, directory: Path) -> None:
    """A random GLM in bfloat16 with the bundled model's tokenizer, as vLLM and transformers read it."""
    torch.manual_seed(0)
    random_model(shape, dtype=torch.bfloat16, device=torch.device("cpu")).save_pretrained(directory)
    for name in _TOKENIZER:
        (directory / name).write_bytes((BUNDLED / name).read_bytes())


def compared(sides: Mapping[str, Side], conversations: int, *, rounds: int) -> Iterator[dict[str, object]]:
    """One line for each side: medians of the rounds, and of their ratios to ours."""
    for side in sides.values():
        side.measure(conversations)  # warm
    seen: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            seen[name].append(sides[name].measure(conversations))
    for name, found in seen.items():
        speeds = [one.tokens_per_second / ours.tokens_per_second for one, ours in zip(found, seen[_OURS], strict=True)]
        spent = [one.processor_seconds / ours.processor_seconds for one, ours in zip(found, seen[_OURS], strict=True)]
        low, high = median_interval(speeds)
        yield {
            "side": name,
            "at once": conversations,
            "tokens/s": round(statistics.median(one.tokens_per_second for one in found), 1),
            "processor ms a token": round(1e3 * statistics.median(one.processor_seconds for one in found), 2),
            "speed by ours": round(statistics.median(speeds), 2),
            "interval": f"{low:.2f} to {high:.2f}",
            "processor by ours": round(statistics.median(spent), 2),
        }


def _table(lines: Sequence[Mapping[str, object]]) -> str:
    rows = [list(lines[0]), *([str(value) for value in line.values()] for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()
