"""Which engine answers, and why: as the settings say, or what fits this machine."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from worker.model.config_file import prefix_length
from worker.settings import WorkerSettings
from worker.vllm.command import find_command
from worker.vllm.gpus import Gpu, visible_gpus

_VLLM_BYTES = 23 * 2**30
"""What a card that is sold with 24 GB reports is a little less than 24 GiB."""


class Reason(StrEnum):
    """Why this engine; the sentences are in the texts of `mindglm doctor`."""

    SET = "set"  # MINDGLM_ENGINE
    BUNDLED = "bundled"  # a model that needs guidance, and no GPU
    QUANTIZED = "quantized"  # MINDGLM_QUANTIZE, which is our own engine's
    GUIDED = "guided"  # MINDGLM_GUIDANCE, as above
    PREFIX = "prefix"  # a P-tuning prefix, as above
    DEVICE = "device"  # MINDGLM_DEVICE names another device than the GPUs
    NO_VLLM = "no_vllm"
    NO_GPU = "no_gpu"
    SMALL_GPU = "small_gpu"
    FITS = "fits"  # vLLM is installed, and a GPU is large enough


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """`gpu_gib`: memory of the largest GPU, where that decided."""

    engine: Literal["transformers", "vllm", "openai", "scripted"]
    reason: Reason
    gpu_gib: float = 0.0


def choose_engine(settings: WorkerSettings, *, find_gpus: Callable[[], Sequence[Gpu]] = visible_gpus) -> EngineChoice:
    """Asks for the GPUs only where they decide. Raises `Misconfigured`."""
    if settings.engine != "auto":
        return EngineChoice(engine=settings.engine, reason=Reason.SET)
    reason = _against_vllm(settings)
    if reason is not None:
        return EngineChoice(engine="transformers", reason=reason)
    largest = max((gpu.total_bytes for gpu in find_gpus()), default=0)
    if largest >= _VLLM_BYTES:
        return EngineChoice(engine="vllm", reason=Reason.FITS, gpu_gib=largest / 2**30)
    reason = Reason.SMALL_GPU if largest else Reason.NO_GPU
    return EngineChoice(engine="transformers", reason=reason, gpu_gib=largest / 2**30)


def _against_vllm(settings: WorkerSettings) -> Reason | None:
    against = {
        Reason.BUNDLED: settings.is_bundled_model,
        Reason.QUANTIZED: settings.quantize is not None,
        Reason.GUIDED: (settings.guidance or 1) > 1,
        Reason.PREFIX: _has_prefix(settings),
        Reason.DEVICE: settings.device not in {"auto", "cuda"},
        Reason.NO_VLLM: find_command(settings) is None or importlib.util.find_spec("httpx_aiohttp") is None,
    }
    return next((reason for reason, holds in against.items() if holds), None)


def _has_prefix(settings: WorkerSettings) -> bool:
    places = [Path(place).expanduser() for place in (settings.model, settings.adapter) if place]
    return any(prefix_length(place) for place in places)
