"""What a run computes on."""

import ctypes

import torch

from training.recipe import Recipe
from worker.model.hardware import choose_device, choose_threads, multiplies_bfloat16

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def settle(recipe: Recipe) -> torch.device:
    """Set threads and seed; returns the device."""
    torch.set_num_threads(choose_threads(recipe.threads))
    torch.manual_seed(recipe.seed)
    return choose_device(recipe.device)


def choose_precision(recipe: Recipe, device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, float16 on older GPUs: masters are float32 in any case."""
    if recipe.precision != "auto":
        return _PRECISIONS[recipe.precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and multiplies_bfloat16() else torch.float32


def give_back_memory() -> None:
    """Hand to the system what glibc keeps of freed tensors: after some hundred steps several times what a run needs."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
