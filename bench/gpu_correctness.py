"""The paged step against transformers' own forward on the same device, by number type."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GlmConfig, GlmForCausalLM

from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling

_BLOCK_SIZE = 16
_BLOCKS = 32  # of each sequence
_LENGTHS = (5, 130, 300)
_GREEDY_TOKENS = 24


def correctness(device: torch.device) -> list[dict[str, Any]]:
    """By number type: the paged step's logits against transformers' own, as relative root mean squares."""
    return [_parity(dtype, device) for dtype in (torch.float32, torch.float16, torch.bfloat16)]


@torch.inference_mode()
def _parity(dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    config = GlmConfig(
        vocab_size=8192,
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=128,
        rms_norm_eps=1e-5,
        max_position_embeddings=2048,
        attention_bias=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    torch.manual_seed(3)
    exact: Any = GlmForCausalLM(config)
    exact.to(device).train(mode=False)
    for parameter in exact.parameters():
        if parameter.dim() > 1:
            parameter.mul_(3.0)  # random weights of the usual spread say nearly nothing
    plain: Any = copy.deepcopy(exact).to(dtype)
    prompts = [torch.randint(3, 8192, (length,)).tolist() for length in _LENGTHS]
    expected = [exact(torch.tensor([ids], device=device), logits_to_keep=1).logits[0, -1] for ids in prompts]
    theirs = [plain(torch.tensor([ids], device=device), logits_to_keep=1).logits[0, -1].float() for ids in prompts]
    greedy = [_greedy(plain, ids, device) for ids in prompts]
    blocks = [list(range(number * _BLOCKS, (number + 1) * _BLOCKS)) for number in range(len(prompts))]
    runner = Runner(
        copy.deepcopy(plain),
        sampler=Sampler(Sampling(temperature=1, top_p=1, top_k=1), device=device),
        block_count=_BLOCKS * len(prompts),
        block_size=_BLOCK_SIZE,
        max_decoding=4,
    )
    ours = _sliced(runner, prompts, blocks)
    replies = _continued(runner, prompts, blocks, ours)
    recorded, plainly = _last_step(runner, prompts, blocks, replies)
    same = sum(map(_same, replies, greedy))
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "ours_to_exact": _error(ours, expected),
        "transformers_to_exact": _error(theirs, expected),
        "ours_to_transformers": _error(ours, theirs),
        "graph_to_eager": _error(recorded, plainly),
        "graphs": runner.replay_failure or "used",
        "greedy_tokens_equal": f"{same} of {_GREEDY_TOKENS * len(prompts)}",
    }


def _same(reply: list[int], other: list[int]) -> int:
    return sum(mine == their for mine, their in zip(reply, other, strict=True))


def _greedy(model: Any, ids: list[int], device: torch.device) -> list[int]:
    written = model.generate(
        torch.tensor([ids], device=device), do_sample=False, max_new_tokens=_GREEDY_TOKENS, eos_token_id=None
    )
    result: list[int] = written[0, len(ids) :].tolist()
    return result


def _sliced(runner: Runner, prompts: Sequence[list[int]], blocks: Sequence[list[int]]) -> list[Tensor]:
    """Logits after each prompt, which is read in two chunks where it is long enough."""
    rows = []
    for ids, own in zip(prompts, blocks, strict=True):
        cut = len(ids) // 2 if len(ids) > _BLOCK_SIZE else 0
        if cut:
            runner.logits([RunnerInput(ids[:cut], 0, own, needs_token=False)])
        rows.append(runner.logits([RunnerInput(ids[cut:], cut, own, needs_token=True)])[0].float())
    return rows


def _continued(
    runner: Runner, prompts: Sequence[list[int]], blocks: Sequence[list[int]], first: Sequence[Tensor]
) -> list[list[int]]:
    replies = [[int(row.argmax())] for row in first]
    for _ in range(_GREEDY_TOKENS - 1):
        inputs = _decode_inputs(prompts, blocks, replies)
        for reply, row in zip(replies, runner.logits(inputs), strict=True):
            reply.append(int(row.argmax()))
    return replies


def _last_step(
    runner: Runner, prompts: Sequence[list[int]], blocks: Sequence[list[int]], replies: Sequence[list[int]]
) -> tuple[list[Tensor], list[Tensor]]:
    """The same step by a graph and without one."""
    inputs = _decode_inputs(prompts, blocks, replies)
    recorded = [row.float().clone() for row in runner.logits(inputs)]
    plainly = [row.float().clone() for row in runner.logits(inputs, may_replay=False)]
    return recorded, plainly


def _decode_inputs(
    prompts: Sequence[list[int]], blocks: Sequence[list[int]], replies: Sequence[list[int]]
) -> list[RunnerInput]:
    return [
        RunnerInput([reply[-1]], len(ids) + len(reply) - 1, own, needs_token=True)
        for ids, own, reply in zip(prompts, blocks, replies, strict=True)
    ]


def _error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    pairs = [(one.float(), other.float()) for one, other in zip(found, expected, strict=True)]
    squares = sum(float((one - other).square().mean()) for one, other in pairs)
    return math.sqrt(squares / sum(float(other.square().mean()) for _, other in pairs))
