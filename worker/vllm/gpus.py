"""The GPUs of this machine, and how servers are laid over them. Loads no torch unless it is loaded already."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.engine.port import ModelUnusable

_QUERY = ("--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_QUERY_SECONDS = 30.0
_MIB = 2**20
_WEIGHTS_SHARE = 0.8
"""Of a GPU's memory; the rest is for the cache and the working memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """As CUDA_VISIBLE_DEVICES would name it; `total_bytes` of memory."""

    name: str
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The GPUs of each server; an empty group is a server without any."""

    groups: tuple[tuple[Gpu, ...], ...]


def visible_gpus() -> list[Gpu]:
    """NVIDIA's, in the order of CUDA_VISIBLE_DEVICES where it is set; none where its driver is not installed."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        asked = subprocess.run(  # noqa: S603 - fixed words
            [tool, *_QUERY], capture_output=True, text=True, check=True, timeout=_QUERY_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return list(_shown(list(_listed(asked.stdout)), os.environ.get("CUDA_VISIBLE_DEVICES")))


def _listed(answer: str) -> Iterator[tuple[str, str, int]]:
    for line in answer.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[2].isdigit():  # noqa: PLR2004 - the three that were asked for
            yield parts[0], parts[1], int(parts[2]) * _MIB


def _shown(listed: Sequence[tuple[str, str, int]], visible: str | None) -> Iterator[Gpu]:
    """CUDA reads its list up to the first entry that names nothing."""
    if visible is None:
        yield from (Gpu(name=index, total_bytes=size) for index, _, size in listed)
        return
    for name in map(str.strip, visible.split(",")):
        found = next((size for index, uuid, size in listed if name == index or (name and uuid.startswith(name))), None)
        if found is None:
            return
        yield Gpu(name=name, total_bytes=found)


def lay_out(gpus: Sequence[Gpu], *, weight_bytes: int, per_server: int | None, servers: int | None) -> Layout:
    """As set; else as few GPUs a server as hold the weights (a power of two), and as many servers as there is room for.

    Raises `ModelUnusable`.
    """
    if not gpus:
        if (per_server or 1) > 1:
            raise ModelUnusable(f"MINDGLM_VLLM_GPUS_PER_SERVER={per_server}, but no GPU was found (nvidia-smi).")
        return Layout(groups=((),) * (servers or 1))
    each = per_server or _least(gpus, weight_bytes)
    count = servers or max(1, len(gpus) // each)
    if each * count > len(gpus):
        raise ModelUnusable(
            f"{count} vLLM servers with {each} GPUs each need {each * count} GPUs; there are {len(gpus)}. "
            "Set MINDGLM_VLLM_SERVERS and MINDGLM_VLLM_GPUS_PER_SERVER to what is there."
        )
    return Layout(groups=tuple(tuple(gpus[each * number : each * (number + 1)]) for number in range(count)))


def _least(gpus: Sequence[Gpu], weight_bytes: int) -> int:
    smallest = min(gpu.total_bytes for gpu in gpus)
    each = 1
    while each * 2 <= len(gpus) and weight_bytes > each * smallest * _WEIGHTS_SHARE:
        each *= 2
    return each
