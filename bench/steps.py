"""Processor time of single steps, for rounds that alternate between two commits on a machine that is busy.

python -m bench.steps                     # decode at 1 and 16, a prefill of 240 tokens: milliseconds, the least of 25
python -m bench.steps --shape 6b-slice --quantize 8 --times 8
"""

import argparse
import time
from collections.abc import Sequence

import torch

from bench.ways import BLOCK_SIZE, SAMPLING
from bench.workload import SHAPES, random_model
from worker.engine.quantized import quantize
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling

_BLOCKS = 20  # of each sequence
_CONTEXT = 220
_PROMPT = 240


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="173m")
    parser.add_argument("--quantize", type=int, choices=[8, 4], default=None)
    parser.add_argument("--times", type=int, default=25)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    device = torch.device("cpu")
    model = random_model(options.shape, dtype=torch.bfloat16, device=device)
    if options.quantize is not None:
        quantize(model, options.quantize)
    sampler = Sampler(Sampling(**SAMPLING), device=device)
    runner = Runner(model, sampler=sampler, block_count=16 * _BLOCKS, block_size=BLOCK_SIZE)
    decode = {
        count: [
            RunnerInput([7], _CONTEXT, range(number * _BLOCKS, (number + 1) * _BLOCKS), needs_token=True)
            for number in range(count)
        ]
        for count in (1, 16)
    }
    prompt = [RunnerInput(list(range(3, 3 + _PROMPT)), 0, range(_BLOCKS), needs_token=True)]
    found = {f"decode at {count}": _least(runner, inputs, options.times) for count, inputs in decode.items()}
    found[f"prefill of {_PROMPT}"] = _least(runner, prompt, max(3, options.times // 4))
    print(", ".join(f"{name}: {milliseconds:.1f} ms" for name, milliseconds in found.items()))


def _least(runner: Runner, inputs: Sequence[RunnerInput], times: int) -> float:
    spent = []
    for _ in range(times):
        started = time.thread_time()
        runner.run(inputs)
        spent.append(time.thread_time() - started)
    return 1e3 * min(spent)


if __name__ == "__main__":
    main()
