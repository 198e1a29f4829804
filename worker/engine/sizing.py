"""How much of the device's memory the cache gets, and how many tokens a step may have."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor

from worker.engine.port import ModelUnusable
from worker.engine.runner import CacheShape, Runner
from worker.engine.runner_input import OutOfMemory, RunnerInput
from worker.engine.sampling import Sampler
from worker.model.plain_glm import PlainGlm

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BLOCK_SIZE = 16
"""Tokens of a block: small, so that prefixes are shared to the exchange."""

_GPU_STEP_TOKENS = 2048
_CPU_STEP_TOKENS = 256  # a longer step would make the replies in decode stutter
_GPU_SHARE = 0.9
_CPU_SHARE = 0.25
_TOKENS_PER_REQUEST = 4096  # a window of 600 characters, a message of 4,000 at most, and a reply
_MIN_CACHE_TOKENS = 1024
_RECORDED_TOKENS = 1024  # longer sequences record their graphs when they come


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A warm runner and the sizes that fit the device."""

    runner: Runner
    block_count: int
    step_tokens: int


def fit(
    model: "PreTrainedModel | PlainGlm", sampler: Sampler, *, capacity: int, context: int, prefix: Tensor | None = None
) -> Fitted:
    """A warm runner with the largest cache that is useful and fits; `prefix` as for it. Raises `ModelUnusable`."""
    pinned = prefix.shape[3] // BLOCK_SIZE if prefix is not None else 0
    block_bytes = CacheShape.of(model).bytes_per_token(model.dtype) * BLOCK_SIZE
    is_gpu = model.device.type == "cuda"
    step_tokens = _GPU_STEP_TOKENS if is_gpu else _CPU_STEP_TOKENS
    least = -(-step_tokens // BLOCK_SIZE)
    runner = _warm(
        model,
        sampler,
        capacity=capacity,
        block_count=least,
        tokens=min(step_tokens, context) if is_gpu else BLOCK_SIZE,
        prefix=prefix,
    )
    affordable = free_bytes(model.device) // block_bytes
    useful = capacity * min(context, _TOKENS_PER_REQUEST) // BLOCK_SIZE
    block_count = min(useful + pinned, affordable)
    if (block_count - pinned) * BLOCK_SIZE < min(context, _MIN_CACHE_TOKENS):
        raise ModelUnusable(
            f"Beside the model, {model.device} has memory for {block_count * BLOCK_SIZE} tokens only. "
            "Free the device, or set MINDGLM_DTYPE to a smaller type."
        )
    runner.resize(block_count)
    runner.warm_up(min(context, _RECORDED_TOKENS) + pinned * BLOCK_SIZE)
    return Fitted(runner=runner, block_count=block_count, step_tokens=step_tokens)


def _warm(
    model: "PreTrainedModel | PlainGlm",
    sampler: Sampler,
    *,
    capacity: int,
    block_count: int,
    tokens: int,
    prefix: Tensor | None,
) -> Runner:
    """Run a first step: it selects kernels, takes a GPU's working memory, and shows whether the model can run."""
    try:
        runner = Runner(
            model,
            sampler=sampler,
            block_count=block_count,
            block_size=BLOCK_SIZE,
            max_decoding=capacity,
            prefix=prefix,
        )
        runner.run([RunnerInput(tokens=[0] * tokens, start=0, blocks=range(block_count), needs_token=True)])
    except OutOfMemory as error:
        raise ModelUnusable(f"{model.device} has no memory left to run the model that it holds.") from error
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise ModelUnusable(
            f"{type(model).__name__} cannot be batched by this engine ({type(error).__name__}). "
            "Serve it with vLLM and set MINDGLM_ENGINE=openai."
        ) from error
    return runner


def free_bytes(device: torch.device) -> int:
    """What a cache may take of the memory that the device has free."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _GPU_SHARE)
    return int(psutil.virtual_memory().available * _CPU_SHARE)
