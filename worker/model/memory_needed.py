"""Whether a model fits into the memory of the device it is meant for: asked before anything is loaded."""

import json
from pathlib import Path
from typing import Final

import psutil
import torch

from worker.engine.port import ModelUnusable
from worker.model.examine import Examined
from worker.model.find import weight_files

_GIB: Final = 2**30
_BYTES: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1}
_CGROUPS: Final = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""A container's limit and use, of version 2 and of version 1."""


def refuse_too_large(examined: Examined, *, dtype: torch.dtype, device: torch.device) -> None:
    """Raises `ModelUnusable` if the weights alone take more than the device has left."""
    needed = needed_bytes(examined, dtype)
    free, total = memory_of(device)
    if needed <= free:
        return
    name = str(dtype).removeprefix("torch.")
    advice = "Free it" if needed <= total else "Take a larger device"
    raise ModelUnusable(
        f"{examined.directory} does not fit into the memory of {device}: its weights alone take "
        f"{needed / _GIB:.1f} GiB as {name}, and {free / _GIB:.1f} of {total / _GIB:.1f} GiB are free. {advice}, set "
        "MINDGLM_QUANTIZE or MINDGLM_DTYPE to a smaller type, or serve the model elsewhere with MINDGLM_ENGINE=openai."
    )


def needed_bytes(examined: Examined, dtype: torch.dtype) -> int:
    """What the weights take in memory once they are loaded as `dtype`."""
    return number_count(examined) * dtype.itemsize


def number_count(examined: Examined) -> int:
    """How many numbers the weights have: exact for safetensors, else from the sizes and the stored type."""
    bits = examined.config.get("quantization_bit") if examined.is_chatglm2 else None
    if bits in {4, 8}:
        return examined.weight_bytes * 8 // int(bits)  # a little more than it is: not all tensors are packed
    files = weight_files(examined.directory)
    if all(file.suffix == ".safetensors" for file in files):
        return sum(map(_numbers_in, files))
    stored = getattr(torch, str(examined.config.get("torch_dtype") or "float16"), torch.float16)
    return examined.weight_bytes // int(stored.itemsize)


def memory_of(device: torch.device) -> tuple[int, int]:
    """Free and total bytes; a container's limit counts as the machine's."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return int(free), int(total)
    memory = psutil.virtual_memory()
    free, total = int(memory.available) + int(psutil.swap_memory().free), int(memory.total)
    for limit, used in _CGROUPS:
        most = _number_in(limit)
        if most is not None and most < total:
            return max(min(free, most - (_number_in(used) or 0) + _cached(limit.parent)), 0), most
    return free, total


def _numbers_in(file: Path) -> int:
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    return sum(
        (tensor["data_offsets"][1] - tensor["data_offsets"][0]) // _BYTES.get(tensor["dtype"], 1)
        for name, tensor in header.items()
        if name != "__metadata__"
    )


def _number_in(file: Path) -> int | None:
    try:
        said = file.read_text().strip()
    except OSError:
        return None
    return int(said) if said.isdigit() else None


def _cached(directory: Path) -> int:
    """Pages of files, which the kernel gives up when they are needed."""
    try:
        lines = (directory / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    found = dict(line.split(" ", 1) for line in lines if " " in line)
    return sum(int(found.get(name, 0)) for name in ("inactive_file", "active_file"))
