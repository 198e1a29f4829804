"""Loads a model for the batching engine: the weights on their device, a cache that fits, the right prompt."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from worker.engine.glm import can_fuse
from worker.engine.guidance import Guidance
from worker.engine.port import ModelUnusable
from worker.engine.prompter import build_prompter
from worker.engine.quantized import Bits, quantize
from worker.engine.sampling import Sampler, Sampling, suppressed_ids
from worker.engine.sizing import BLOCK_SIZE, fit
from worker.engine.step_loop import LoadedModel
from worker.model.config_file import is_prefix, prefix_length
from worker.model.examine import Examined, examine
from worker.model.find import BUNDLED, find_model, version_of
from worker.model.hardware import choose_device, choose_dtype, choose_threads, prefer_huge_pages
from worker.model.memory_needed import refuse_too_large
from worker.model.plain_glm import PlainGlm, load_plain
from worker.model.prefix import read_prefix
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def assemble(settings: WorkerSettings, *, capacity: int) -> LoadedModel:
    """Load the model that the settings name, ready to run. Raises `ModelUnusable`."""
    examined = _examined(settings)
    plain = _plain(examined, settings)
    model = plain if plain is not None else _by_transformers(examined, settings)
    loaded = prepare_model(examined, model, settings, capacity=capacity)
    if not settings.retrieval or settings.adapter or examined.directory != BUNDLED:
        return loaded
    from care.guard import guard
    from dialogue.process.region import directory_of
    from worker.prewritten.replies import FILE, PrewrittenReplies

    version = _version(examined, settings, replies=FILE)
    replies = PrewrittenReplies(guard(directory_of(settings.region)))
    return replace(loaded, chooser=replies, model_version=version)


def open_model(settings: WorkerSettings) -> "tuple[Examined, PreTrainedModel]":
    """The model that the settings name, on its device, with its adapter, as transformers' own class.

    Raises `ModelUnusable`.
    """
    examined = _examined(settings)
    return examined, _by_transformers(examined, settings)


def _examined(settings: WorkerSettings) -> Examined:
    prefer_huge_pages()
    torch.set_num_threads(choose_threads(settings.threads))
    return examine(find_model(settings.model, revision=settings.revision, hub=settings.hub))


def _plain(examined: Examined, settings: WorkerSettings) -> PlainGlm | None:
    """On a CPU; a GPU's models take longer to load than transformers does."""
    device = choose_device(settings.device)
    if device.type != "cpu" or settings.quantize is not None or settings.adapter:
        return None
    dtype = choose_dtype(settings.dtype, device=device, stored=None)
    refuse_too_large(examined, dtype=dtype, device=device)
    return load_plain(examined, dtype=dtype)


def _by_transformers(examined: Examined, settings: WorkerSettings) -> "PreTrainedModel":
    from worker.model.load import load_model

    device = choose_device(settings.device)
    options: dict[str, Any] = {"adapter": _lora(settings), "leaves_prefix": True}
    if settings.quantize is None:
        return load_model(examined, dtype=settings.dtype, device=device, **options)
    bits = _bits(settings, device)
    dtype = settings.dtype if device.type == "cpu" or settings.dtype != "auto" else "float16"
    model: Any = load_model(examined, dtype=dtype, device=torch.device("cpu"), **options)
    quantize(model, bits)
    return model.to(device)  # type: ignore[no-any-return]  # the same model


def _bits(settings: WorkerSettings, device: torch.device) -> Bits:
    if settings.quantize == "int4" and device.type == "cpu":
        raise ModelUnusable("MINDGLM_QUANTIZE=int4 is for GPUs; on a CPU int8 is faster: set MINDGLM_QUANTIZE=int8.")
    return 8 if settings.quantize == "int8" else 4


def prepare_model(
    examined: Examined, model: "PreTrainedModel | PlainGlm", settings: WorkerSettings, *, capacity: int
) -> LoadedModel:
    """Prepare the model for paged steps, after which it can run nothing else. Raises `ModelUnusable`."""
    config: Any = model.config
    prompter = build_prompter(
        examined,
        style=settings.prompt_style,
        vocabulary_size=config.vocab_size,
        context=config.max_position_embeddings,
    )
    stop_ids = _stop_ids(model)
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        suppressed_ids=suppressed_ids(
            prompter.tokenizer.control_ids,
            text_size=prompter.tokenizer.size,
            vocabulary_size=config.vocab_size,
            stop_ids=stop_ids,
        ),
    )
    guidance = _guidance(model, settings)
    sequences = 2 if guidance.is_on else 1  # of one request
    sampler = Sampler(sampling, device=model.device)
    prefix = _prefix(examined, model, settings)
    fitted = fit(model, sampler, capacity=sequences * capacity, context=prompter.context, prefix=prefix)
    prefix_tokens = prefix.shape[3] if prefix is not None else 0
    return LoadedModel(
        runner=fitted.runner,
        prompter=prompter.within((fitted.block_count - prefix_tokens // BLOCK_SIZE) // sequences * BLOCK_SIZE),
        stop_ids=stop_ids,
        model_version=_version(examined, settings),
        block_count=fitted.block_count,
        block_size=BLOCK_SIZE,
        step_tokens=fitted.step_tokens,
        guidance=guidance,
        prefix_tokens=prefix_tokens,
    )


def _guidance(model: "PreTrainedModel | PlainGlm", settings: WorkerSettings) -> Guidance:
    """As set; otherwise as the model's generation_config.json recommends it, which the bundled one does."""
    config: Any = model.generation_config
    recommended = getattr(config, "guidance_scale", None)
    return Guidance(scale=settings.guidance or recommended or 1.0)


def _prefix(examined: Examined, model: "PreTrainedModel | PlainGlm", settings: WorkerSettings) -> Tensor | None:
    """The P-tuning prefix of the model or of its adapter. Raises `ModelUnusable`."""
    adapter = _adapter(settings)
    place = adapter if adapter is not None and is_prefix(adapter) else examined.directory
    if not prefix_length(place):
        return None
    prefix = read_prefix(place, config=model.config)
    if prefix.shape[3] % BLOCK_SIZE:
        raise ModelUnusable(f"The P-tuning prefix in {place} must be a multiple of {BLOCK_SIZE} tokens long.")
    if not can_fuse(model):
        raise ModelUnusable(f"The P-tuning prefix in {place} is for ChatGLM2, and {settings.model} is another model.")
    return prefix


def _version(examined: Examined, settings: WorkerSettings, *, replies: Path | None = None) -> str:
    return version_of(
        examined.directory,
        model=settings.model,
        adapter=_adapter(settings),
        quantize=settings.quantize,
        replies=replies,
    )


def _lora(settings: WorkerSettings) -> Path | None:
    adapter = _adapter(settings)
    return None if adapter is not None and is_prefix(adapter) else adapter


def _adapter(settings: WorkerSettings) -> Path | None:
    return Path(settings.adapter).expanduser() if settings.adapter else None


def _stop_ids(model: "PreTrainedModel | PlainGlm") -> frozenset[int]:
    configs: tuple[Any, ...] = (model.generation_config, model.config)
    named = [getattr(config, "eos_token_id", None) for config in configs]
    return frozenset(id_ for ids in named if ids is not None for id_ in (ids if isinstance(ids, list) else [ids]))
