"""Is this model whole, does the engine compute what the model computes, how does it speak, how fast?"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil
import torch
from torch import Tensor
from transformers import PreTrainedModel

from worker.engine.assemble import open_model, prepare_model
from worker.engine.batched import Batched
from worker.engine.port import Exchange, ModelUnusable, Request
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.step_loop import LoadedModel
from worker.model.loss import mean_loss, sample_dialogues
from worker.settings import WorkerSettings

_PARITY_TOKENS = 100
_LARGEST_ERROR = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
_LARGEST_QUANTIZED_ERROR = 0.1  # a CPU also rounds the inputs of eight-bit layers
_SPEED_TOKENS = 64
_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What was found. The error is the root mean square of the logits' differences over that of the logits."""

    model_version: str
    prompt_version: str
    device: str
    dtype: str
    load_seconds: float
    memory_gib: float
    cache_tokens: int
    parity_error: float
    loss: float  # nats per token of the supporter's replies in the sample dialogues
    full_loss: float | None  # the same in full precision, if the weights are quantised
    is_exact_enough: bool
    conversation: Sequence[Exchange]
    first_token_seconds: float
    tokens_per_second: dict[int, float]  # by conversations at once


def check(settings: WorkerSettings, *, capacity: int, texts: Sequence[str]) -> ModelReport:
    """Load, compare, talk (`texts` one after the other) and measure. Raises `ModelUnusable`."""
    full_loss = _full_loss(settings) if settings.quantize is not None else None
    started = time.perf_counter()
    examined, model = open_model(settings)
    load_seconds = time.perf_counter() - started
    ids = torch.arange(_PARITY_TOKENS).mul(37).remainder(min(model.config.vocab_size, 5000)).tolist()
    expected = _plain_logits(model, ids)
    dtype = model.dtype
    loaded = prepare_model(examined, model, settings, capacity=capacity)
    runner = loaded.runner
    if not isinstance(runner, Runner):
        raise TypeError
    error = _relative_error(_paged_logits(runner, ids, block_size=loaded.block_size), expected)
    loss = _loss(loaded, settings)
    runner.reset()  # a prefix was overwritten
    engine = Batched(lambda: loaded, capacity=capacity)
    engine.start()
    try:
        conversation, first_token_seconds = _talk(engine, settings, texts)
        speeds = {count: _speed(engine, settings, texts[0], count) for count in sorted({1, capacity})}
    finally:
        engine.stop()
    return ModelReport(
        model_version=loaded.model_version,
        prompt_version=loaded.prompter.version,
        device=str(model.device),
        dtype=str(dtype).removeprefix("torch."),
        load_seconds=load_seconds,
        memory_gib=_memory(model.device) / 2**30,
        cache_tokens=loaded.block_count * loaded.block_size,
        parity_error=error,
        loss=loss,
        full_loss=full_loss,
        is_exact_enough=error <= (_LARGEST_QUANTIZED_ERROR if settings.quantize else _LARGEST_ERROR[dtype]),
        conversation=conversation,
        first_token_seconds=first_token_seconds,
        tokens_per_second=speeds,
    )


def _full_loss(settings: WorkerSettings) -> float | None:
    """The loss in full precision; None if that does not fit into the memory."""
    full = settings.model_copy(update={"quantize": None})
    try:
        examined, model = open_model(full)
        return _loss(prepare_model(examined, model, full, capacity=1), full)
    except ModelUnusable:
        return None


def _loss(loaded: LoadedModel, settings: WorkerSettings) -> float:
    if not isinstance(loaded.runner, Runner):
        raise TypeError
    return mean_loss(
        loaded.runner,
        loaded.prompter,
        sample_dialogues(),
        instruction=settings.instruction,
        block_size=loaded.block_size,
    )


@torch.inference_mode()
def _plain_logits(model: PreTrainedModel, ids: list[int]) -> Tensor:
    run: Any = model
    result: Tensor = run(torch.tensor([ids], device=model.device), logits_to_keep=1).logits[0, -1].float()
    return result


def _paged_logits(runner: Runner, ids: list[int], *, block_size: int) -> Tensor:
    """In three slices, the last of one token, so that all ways through the cache are taken; blocks out of order."""
    blocks = list(reversed(range(-(-len(ids) // block_size))))
    cuts = (0, block_size + 1, len(ids) - 1, len(ids))
    for start, stop in pairwise(cuts):
        logits = runner.logits([RunnerInput(ids[start:stop], start, blocks, needs_token=True)])
    return logits[0].float()


def _relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def _talk(engine: Batched, settings: WorkerSettings, texts: Sequence[str]) -> tuple[list[Exchange], float]:
    said: list[Exchange] = []
    firsts: list[float] = []
    for text in texts:
        started = time.perf_counter()
        reply = ""
        for progress in engine.stream(_request(settings, text, said, max_tokens=settings.max_reply_tokens)):
            if not reply:
                firsts.append(time.perf_counter() - started)
            reply = progress.text
        said.append(Exchange(text, reply))
    return said, firsts[0]


def _speed(engine: Batched, settings: WorkerSettings, text: str, count: int) -> float:
    def ask(number: int) -> int:
        request = _request(settings, text, (), max_tokens=_SPEED_TOKENS, id_=str(number))
        return [progress.reply_tokens for progress in engine.stream(request)][-1]

    with ThreadPoolExecutor(count) as pool:
        return _per_second(lambda: sum(pool.map(ask, range(count))))


def _per_second(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    return work() / (time.perf_counter() - started)


def _request(
    settings: WorkerSettings, text: str, history: Sequence[Exchange], *, max_tokens: int, id_: str = "check"
) -> Request:
    return Request(
        id=id_,
        instruction=settings.instruction,
        history=list(history),
        text=text,
        max_tokens=max_tokens,
        deadline_seconds=_SECONDS,
    )


def _memory(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
