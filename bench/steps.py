"""Processor time of single steps, for rounds that alternate between two commits on a machine that is busy.

python -m bench.steps                     # decode at 1 and 16, a prefill of 240 tokens: milliseconds, the least of 25
python -m bench.steps --shape 6b-slice --quantize 8 --times 8
python -m bench.steps --shape 6b-slice --ways --times 12    # forms of the weights by turns in one process, and ratios
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import torch

from bench.ways import BLOCK_SIZE, SAMPLING
from bench.workload import SHAPES, random_model
from worker.engine.quantized import Bits, quantize
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.model.hardware import prefer_huge_pages

_BLOCKS = 20  # of each sequence
_CONTEXT = 220
_PROMPT = 240
_PREFILL = f"prefill of {_PROMPT}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="173m")
    parser.add_argument("--quantize", type=int, choices=[8, 4], default=None)
    parser.add_argument("--times", type=int, default=25)
    parser.add_argument("--ways", action="store_true", help="bfloat16 and int8")
    options = parser.parse_args(arguments)
    prefer_huge_pages()
    torch.set_num_threads(1)
    if options.ways:
        _compare(options.shape, options.times)
        return
    runner = _runner(options.shape, options.quantize)
    found = {
        name: 1e3 * min(_spent(runner, inputs) for _ in range(_times(name, options.times)))
        for name, inputs in _steps().items()
    }
    print(", ".join(f"{name}: {milliseconds:.1f} ms" for name, milliseconds in found.items()))


def _compare(shape: str, times: int) -> None:
    """Round by round, so that what else the machine does meets all alike."""
    runners = {"bfloat16": _runner(shape, None), "int8": _runner(shape, 8)}
    for name, inputs in _steps().items():
        rounds = [
            {way: 1e3 * _spent(runner, inputs) for way, runner in runners.items()} for _ in range(_times(name, times))
        ]
        for way in runners:
            middle = statistics.median(each[way] for each in rounds)
            least = min(each[way] for each in rounds)
            ratio = statistics.median(each["bfloat16"] / each[way] for each in rounds)
            of_least = min(each["bfloat16"] for each in rounds) / least
            print(
                f"{name:16} {way:12} {middle:8.1f} ms, bfloat16 takes {ratio:.2f} times as long;"
                f" least {least:.1f} ms, {of_least:.2f} times"
            )


def _runner(shape: str, bits: Bits | None) -> Runner:
    device = torch.device("cpu")
    model = random_model(shape, dtype=torch.bfloat16, device=device)
    if bits is not None:
        quantize(model, bits)
    sampler = Sampler(Sampling(**SAMPLING), device=device)
    return Runner(model, sampler=sampler, block_count=16 * _BLOCKS, block_size=BLOCK_SIZE)


def _steps() -> dict[str, list[RunnerInput]]:
    steps = {
        f"decode at {count}": [
            RunnerInput([7], _CONTEXT, range(number * _BLOCKS, (number + 1) * _BLOCKS), needs_token=True)
            for number in range(count)
        ]
        for count in (1, 16)
    }
    return steps | {_PREFILL: [RunnerInput(list(range(3, 3 + _PROMPT)), 0, range(_BLOCKS), needs_token=True)]}


def _times(name: str, times: int) -> int:
    return max(3, times // 4) if name == _PREFILL else times


def _spent(runner: Runner, inputs: Sequence[RunnerInput]) -> float:
    started = time.thread_time()
    runner.run(inputs)
    return time.thread_time() - started


if __name__ == "__main__":
    main()
