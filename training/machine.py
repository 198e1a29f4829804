"""What a run computes on."""

import ctypes

import torch

from training.recipe import Recipe
from worker.model.hardware import choose_device, choose_threads, multiplies_bfloat16


def settle(recipe: Recipe) -> torch.device:
    """Set threads and seed; returns the device."""
    torch.set_num_threads(choose_threads(recipe.threads))
    torch.manual_seed(recipe.seed)
    return choose_device(recipe.device)


def choose_precision(recipe: Recipe, device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively: its masters are float32 in any case."""
    if recipe.precision != "auto":
        return torch.float32 if recipe.precision == "float32" else torch.bfloat16
    is_native = multiplies_bfloat16() if device.type == "cpu" else device.type == "cuda"
    return torch.bfloat16 if is_native else torch.float32


def give_back_memory() -> None:
    """Hand to the system what glibc keeps of freed tensors: after some hundred steps several times what a run needs."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
