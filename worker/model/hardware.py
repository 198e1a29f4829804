"""What the machine offers, and what follows from it: device, number type, threads."""

import os

import torch

from worker.engine.port import ModelUnusable

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_HALF_TYPES = (torch.float16, torch.bfloat16)

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""torch's own name: whether tensors of 2 MiB and more ask Linux for pages of that size. The first tensor decides."""


def choose_device(asked: str) -> torch.device:
    """The asked device, or for "auto" the best one here. Raises `ModelUnusable`."""
    if asked != "auto":
        return _checked(asked)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _checked(asked: str) -> torch.device:
    try:
        device = torch.device(asked)
    except RuntimeError as unknown:
        raise ModelUnusable(f"MINDGLM_DEVICE={asked} is no device; use auto, cpu, cuda, cuda:1 or mps.") from unknown
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelUnusable(
            f"MINDGLM_DEVICE={asked}, but this torch finds no CUDA GPU: see `nvidia-smi`, install torch for CUDA, "
            "or set MINDGLM_DEVICE=cpu."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelUnusable(
            f"MINDGLM_DEVICE={asked}, but there are {torch.cuda.device_count()} CUDA GPUs, from cuda:0."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelUnusable("MINDGLM_DEVICE=mps, but this machine has no Apple GPU; set MINDGLM_DEVICE=cpu.")
    return device


def choose_dtype(asked: str, *, device: torch.device, stored: torch.dtype | None) -> torch.dtype:
    """The asked type, or for "auto" the fastest that keeps the weights' precision.

    GPUs take half-precision weights as they are stored; CPUs take bfloat16 where they multiply it natively (there
    about three times as fast as float32, and float16 is not faster), float32 elsewhere.
    """
    if asked != "auto":
        return _DTYPES[asked]
    if device.type == "cpu":
        return torch.bfloat16 if multiplies_bfloat16() else torch.float32
    if stored in _HALF_TYPES and (stored is torch.float16 or _has_bfloat16(device)):
        return stored
    return torch.bfloat16 if _has_bfloat16(device) else torch.float16


def prefer_huge_pages() -> None:
    """Keep a CPU's weights in pages of 2 MiB, where Linux lets a process ask; a decode step is the reading of them.

    To be called before the first tensor is made. `THP_MEM_ALLOC_ENABLE=0` leaves it off.
    """
    os.environ.setdefault(HUGE_PAGES, "1")


def choose_threads(asked: int | None) -> int:
    """CPU threads for torch: the asked number, or half of the cores that this process may use.

    Threads that wait for each other on a busy core cost several times what they gain, so some cores are left free.
    """
    if asked is not None:
        return asked
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // 2)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 products."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _has_bfloat16(device: torch.device) -> bool:
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
