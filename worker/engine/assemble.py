"""Puts the batching engine's parts together: the model on its device, a cache that fits, the right prompt."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from worker.engine.crew import Machine
from worker.engine.port import Exchange, ModelUnusable
from worker.engine.prompter import Prompter, Render
from worker.engine.runner import CacheShape, Runner
from worker.engine.sampling import Sampler, Sampling, silent_ids
from worker.engine.work import OutOfMemory, Work
from worker.model import chatglm2
from worker.model.examine import Examined, examine
from worker.model.find import BUNDLED, find_model, fingerprint
from worker.model.hardware import choose_device, choose_threads
from worker.model.load import load_model
from worker.prompt import Piece, PromptStyle, rounds
from worker.settings import WorkerSettings
from worker.template import ChatTemplate
from worker.tokenizer import load_tokenizer

_BLOCK_SIZE = 16
_GPU_STEP_TOKENS = 2048
_CPU_STEP_TOKENS = 256  # a longer step would make the growing replies stutter
_GPU_SHARE = 0.9
_CPU_SHARE = 0.25
_TOKENS_PER_PLACE = 4096  # a window of 600 characters, a message of 4,000 at most, and a reply
_LEAST_CACHE_TOKENS = 1024
_ROUNDS_MARK = "[Round "


def assemble(settings: WorkerSettings, *, capacity: int) -> Machine:
    """Load the model that the settings name. Raises `ModelUnusable`."""
    torch.set_num_threads(choose_threads(settings.threads))
    device = choose_device(settings.device)
    examined = examine(find_model(settings.model))
    adapter = Path(settings.adapter).expanduser() if settings.adapter else None
    model = load_model(examined, dtype=settings.dtype, device=device, adapter=adapter)
    prompter = build_prompter(examined, model, settings)
    stop_ids = _stop_ids(model)
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        silent_ids=silent_ids(
            prompter.tokenizer.control_ids,
            text_size=prompter.tokenizer.size,
            vocabulary_size=model.config.vocab_size,
            stop_ids=stop_ids,
        ),
    )
    runner, block_count, step_tokens = _fit(
        model, Sampler(sampling, device=device), capacity=capacity, context=prompter.context
    )
    return Machine(
        runner=runner,
        prompter=replace(prompter, context=min(prompter.context, block_count * _BLOCK_SIZE)),
        stop_ids=stop_ids,
        model_version=_version(Path(settings.model or BUNDLED).name, examined, adapter),
        block_count=block_count,
        block_size=_BLOCK_SIZE,
        step_tokens=step_tokens,
    )


def build_prompter(examined: Examined, model: PreTrainedModel, settings: WorkerSettings) -> Prompter:
    """ChatGLM2's rounds where the model was trained on them, otherwise the model's own chat template."""
    template = examined.chat_template or ""
    is_rounds = examined.model_type == chatglm2.MODEL_TYPE or _ROUNDS_MARK in template
    if not is_rounds and not template:
        raise ModelUnusable(f"{examined.directory} has no chat template, so its prompt is unknown. Take a chat model.")
    tokenizer = load_tokenizer(examined.directory, has_prefix=is_rounds)
    if tokenizer.size > model.config.vocab_size:
        raise ModelUnusable(f"The tokenizer in {examined.directory} has more ids than the model; they are not a pair.")
    render: Render = ChatTemplate(template, tokens=_special_tokens(examined.directory)).pieces
    if is_rounds:
        render = partial(_rounds, style=settings.prompt_style)
    return Prompter(
        tokenizer=tokenizer,
        render=render,
        context=model.config.max_position_embeddings,
        version=f"rounds-{settings.prompt_style}" if is_rounds else "template",
    )


def _fit(model: PreTrainedModel, sampler: Sampler, *, capacity: int, context: int) -> tuple[Runner, int, int]:
    """A warm runner with as large a cache as is useful and fits, its blocks, and the tokens of a step."""
    is_gpu = model.device.type == "cuda"
    step_tokens = _GPU_STEP_TOKENS if is_gpu else _CPU_STEP_TOKENS
    least = -(-step_tokens // _BLOCK_SIZE)
    runner = _warm(model, sampler, block_count=least, tokens=min(step_tokens, context) if is_gpu else _BLOCK_SIZE)
    block_bytes = CacheShape.of(model).bytes_per_token(model.dtype) * _BLOCK_SIZE
    affordable = _free_bytes(model.device) // block_bytes
    useful = capacity * min(context, _TOKENS_PER_PLACE) // _BLOCK_SIZE
    block_count = min(useful, affordable)
    if block_count * _BLOCK_SIZE < min(context, _LEAST_CACHE_TOKENS):
        raise ModelUnusable(
            f"Beside the model, {model.device} has memory for {block_count * _BLOCK_SIZE} tokens only. "
            "Free the device, or set MINDGLM_DTYPE to a smaller type."
        )
    runner.resize(block_count)
    return runner, block_count, step_tokens


def _warm(model: PreTrainedModel, sampler: Sampler, *, block_count: int, tokens: int) -> Runner:
    """A first step: kernels are chosen, a GPU's working memory is taken, a model that cannot be run says so."""
    try:
        runner = Runner(model, sampler=sampler, block_count=block_count, block_size=_BLOCK_SIZE)
        runner.run([Work(tokens=[0] * tokens, start=0, blocks=range(block_count), is_drawn=True)])
    except OutOfMemory as error:
        raise ModelUnusable(f"{model.device} has no memory left to run the model that it holds.") from error
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise ModelUnusable(
            f"{type(model).__name__} cannot be batched by this engine ({type(error).__name__}). "
            "Serve it with vLLM and set MINDGLM_ENGINE=openai."
        ) from error
    return runner


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _GPU_SHARE)
    return int(psutil.virtual_memory().available * _CPU_SHARE)


def _rounds(history: Sequence[Exchange], text: str, instruction: str, *, style: PromptStyle) -> Iterator[Piece]:
    return rounds(history, text, instruction=instruction, style=style)


def _stop_ids(model: PreTrainedModel) -> frozenset[int]:
    configs: tuple[Any, ...] = (model.generation_config, model.config)
    named = [getattr(config, "eos_token_id", None) for config in configs]
    return frozenset(id_ for ids in named if ids is not None for id_ in (ids if isinstance(ids, list) else [ids]))


def _special_tokens(directory: Path) -> dict[str, str]:
    file = directory / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    named = {name: value for name, value in settings.items() if name.endswith("_token")}
    contents = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
    return {name: content for name, content in contents.items() if isinstance(content, str)}


def _version(name: str, examined: Examined, adapter: Path | None) -> str:
    tuned = f"+{adapter.name}" if adapter is not None else ""
    return f"{name}@{fingerprint(examined.directory)}{tuned}"
