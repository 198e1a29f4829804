"""Decode steps recorded once as CUDA graphs and replayed: one launch instead of some four hundred.

A graph has a fixed number of sequences and of blocks for each; smaller steps are padded up to the next one.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import structlog
import torch
from torch import Tensor

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Decode = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From ids [sequences], positions [sequences] and blocks [sequences, blocks] to logits [sequences, vocabulary]."""

_MIN_BLOCKS = 32
_WARM_UP_RUNS = 2


class DecodeGraphs:
    """Graphs for 1, 2, 4 … `max_size` sequences and 32, 64, 128 … blocks, recorded on first use."""

    def __init__(self, decode: Decode, *, max_size: int, padding_block: int, device: torch.device) -> None:
        self._decode = decode
        self._max_size = max_size
        self._padding_block = padding_block
        self._device = device
        self._graphs: dict[tuple[int, int], _Graph] = {}
        self._pool: Any = None
        self.failure: str | None = None  # why no graph could be recorded

    def record(self, blocks: int) -> None:
        """Record all sizes for sequences of up to `blocks` blocks, the largest first: the others reuse its memory."""
        width = _padded_width(blocks)
        while width >= _MIN_BLOCKS:
            for exponent in reversed(range(_padded_size(self._max_size).bit_length())):
                self._graph(1 << exponent, width)
            width //= 2

    def run(self, sequences: Sequence[tuple[int, int, Sequence[int]]], *, width: int) -> Tensor | None:
        """Logits of one token for each of (id, position, blocks); None if the step must run without a graph.

        The result is overwritten by the next call.
        """
        if len(sequences) > self._max_size or self.failure is not None:
            return None
        size, blocks = _padded_size(len(sequences)), _padded_width(width)
        graph = self._graph(size, blocks)
        if graph is None:
            return None
        return graph.replay(packed(sequences, size=size, width=blocks, padding=self._padding_block))[: len(sequences)]

    def _graph(self, size: int, width: int) -> "_Graph | None":
        graph = self._graphs.get((size, width))
        if graph is None and self.failure is None:
            try:
                graph = self._recorded(size, width)
            except RuntimeError as error:
                log.warning("cuda_graphs_disabled", error=type(error).__name__, size=size, blocks=width)
                self.failure = f"{type(error).__name__}: {error}"
                return None
            self._graphs[size, width] = graph
            self._pool = graph.pool
        return graph

    def _recorded(self, size: int, width: int) -> "_Graph":
        return _Graph(
            self._decode, size=size, width=width, padding=self._padding_block, device=self._device, pool=self._pool
        )


class _Graph:
    def __init__(self, decode: Decode, *, size: int, width: int, padding: int, device: torch.device, pool: Any) -> None:
        numbers = packed([], size=size, width=width, padding=padding)
        self._host = torch.tensor(numbers, dtype=torch.long).pin_memory()
        self._static = self._host.to(device)
        ids, positions, table = split(self._static, size)
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_RUNS):
                decode(ids, positions, table)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._logits = decode(ids, positions, table)
        self.pool: Any = self._graph.pool()

    def replay(self, numbers: "array[int]") -> Tensor:
        """Copy the step's numbers in and run; the sampler's wait keeps the host's buffer until it is read."""
        self._host.copy_(torch.frombuffer(numbers, dtype=torch.long))
        self._static.copy_(self._host, non_blocking=True)
        self._graph.replay()
        return self._logits


def packed(sequences: Sequence[tuple[int, int, Sequence[int]]], *, size: int, width: int, padding: int) -> "array[int]":
    """Ids, positions and tables one after the other; padding sequences write to and read from the padding block."""
    empty = size - len(sequences)
    numbers = array("q", [id_ for id_, _, _ in sequences])
    numbers.extend([0] * empty)
    numbers.extend(position for _, position, _ in sequences)
    numbers.extend([0] * empty)
    for _, _, blocks in sequences:
        own = blocks[:width]
        numbers.extend(own)
        numbers.extend([padding] * (width - len(own)))
    numbers.extend([padding] * (empty * width))
    return numbers


def split(numbers: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, positions and table as views of one tensor."""
    return numbers[:size], numbers[size : 2 * size], numbers[2 * size :].view(size, -1)


def _padded_size(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _padded_width(blocks: int) -> int:
    return max(_MIN_BLOCKS, 1 << (blocks - 1).bit_length())
