"""Runs steps on the device: chunks of sequences in, next tokens out. Knows tensors and blocks, no requests."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from worker.engine import attention
from worker.engine.attention import PrefillChunk, Step
from worker.engine.cuda_graphs import DecodeGraphs
from worker.engine.glm import FusedGlm, can_fuse
from worker.engine.packed import pack
from worker.engine.runner_input import OutOfMemory, RunnerInput
from worker.engine.sampling import Sampler, guide
from worker.model.plain_glm import PlainGlm

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Runner:
    """A model with its cache. One thread at a time."""

    def __init__(
        self,
        model: "PreTrainedModel | PlainGlm",
        *,
        sampler: Sampler,
        block_count: int,
        block_size: int,
        max_decoding: int = 0,
        prefix: Tensor | None = None,
        is_borrowed: bool = False,
    ) -> None:
        """`is_borrowed`: the model stays as it is and computes by its own modules, which its owner lets attend by
        `attention.use` for as long as this runs. Otherwise it is taken over, and can run nothing else afterwards.

        `max_decoding`: on a GPU, decode steps of up to that many sequences are recorded as CUDA graphs.

        `prefix`: keys and values of virtual tokens, [layers, 2, heads, tokens, width], whole blocks of them. They fill
        the first blocks; sequences that begin with these blocks have their own position 0 behind them.
        """
        self._prefix = prefix
        self._prefix_tokens = prefix.shape[3] if prefix is not None else 0
        self._sampler = sampler
        self._shape = CacheShape.of(model)
        self._block_size = block_size
        self.block_count = block_count
        self._device = model.device
        self._dtype = model.dtype
        self._forward: Forward = _ByModules(model) if is_borrowed else _forward(model)
        self._heads = torch.arange(2 * self._shape.heads, device=self._device)
        can_record = self._device.type == "cuda" and can_fuse(model) and not is_borrowed
        self._max_decoding = max_decoding if can_record else 0
        self._graphs: DecodeGraphs | None = None
        self.reset()

    @property
    def replay_failure(self) -> str | None:
        """Why decode steps are not replayed as CUDA graphs; None if they are."""
        return "not asked for, or not possible here" if self._graphs is None else self._graphs.failure

    def resize(self, block_count: int) -> None:
        """Replace the cache by an empty one of another size."""
        self.block_count = block_count
        self.reset()

    def reset(self) -> None:
        """Replace the cache by an empty one."""
        self._caches: tuple[Tensor, ...] = ()  # first, so that the old and the new one never exist together
        self._graphs = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        # the last block belongs to no sequence: graphs write their padding there
        shape = (self.block_count + 1, 2 * self._shape.heads, self._block_size, self._shape.width)
        self._caches = tuple(
            torch.zeros(shape, dtype=self._dtype, device=self._device) for _ in range(self._shape.layers)
        )
        self._write_prefix()
        if self._max_decoding:
            self._graphs = DecodeGraphs(
                self.decode, max_size=self._max_decoding, padding_block=self.block_count, device=self._device
            )

    def _write_prefix(self) -> None:
        if self._prefix is None:
            return
        blocks = self._prefix_tokens // self._block_size
        for cache, layer in zip(self._caches, self._prefix, strict=True):
            by_block = layer.flatten(0, 1).unflatten(1, (blocks, self._block_size)).transpose(0, 1)
            cache[:blocks] = by_block.to(device=self._device, dtype=self._dtype)

    @torch.inference_mode()
    def warm_up(self, tokens: int) -> None:
        """Record the graphs of decode steps over sequences of up to `tokens` tokens."""
        if self._graphs is not None:
            self._graphs.record(self._blocks_until(tokens))

    @torch.inference_mode()
    def run(self, inputs: Sequence[RunnerInput]) -> list[int | None]:
        """The next token of each input that needs one, in order, one of a guided pair; None where logits were unusable.

        Inputs of one token (decode) come before longer ones (prefill). Raises `OutOfMemory`.
        """
        try:
            return self.sample(inputs)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory from error

    @torch.inference_mode()
    def sample(self, inputs: Sequence[RunnerInput], *, may_replay: bool = True) -> list[int | None]:
        """As `run`, without its translation of errors."""
        logits = self.logits(inputs, may_replay=may_replay)
        logits = guide(logits, [item.guidance for item in inputs if item.needs_token])
        return self._sampler.sample(logits) if len(logits) else []

    @torch.inference_mode()
    def logits(self, inputs: Sequence[RunnerInput], *, may_replay: bool = True) -> Tensor:
        """The logits after the last token of each input that needs a token: [asked, vocabulary].

        A replayed graph's logits are overwritten by the next step; `may_replay` False computes without graphs.
        """
        decoding = [item for item in inputs if len(item.tokens) == 1]
        chunks = inputs[len(decoding) :]
        width = max((self._blocks_until(item.start + 1) for item in decoding), default=0)
        if may_replay and self._graphs is not None and not chunks and all(item.needs_token for item in decoding):
            recorded = self._graphs.run(_decode_numbers(decoding), width=width)
            if recorded is not None:
                return recorded
        ends = list(accumulate(len(item.tokens) for item in inputs))
        asked = [end - 1 for item, end in zip(inputs, ends, strict=True) if item.needs_token]
        lengths = [len(item.blocks[: self._blocks_until(item.start + len(item.tokens))]) for item in chunks]
        numbers = self._to_device(
            [token for item in inputs for token in item.tokens],
            [item.start + offset for item in inputs for offset in range(len(item.tokens))],
            [block for item in inputs for block in self._block_of_each_token(item)],
            asked,
            [block for item in decoding for block in _padded(item.blocks, width)],
            *(item.blocks[:count] for item, count in zip(chunks, lengths, strict=True)),
        )
        ids, positions, blocks, asked_rows, table, *tables = numbers
        return self._forward(
            ids,
            self._own(positions),
            asked_rows,
            self._step(
                positions,
                blocks,
                table.view(len(decoding), width),
                prefill=tuple(self._prefill(chunks, tables, first_row=len(decoding))),
            ),
        )

    def decode(self, ids: Tensor, positions: Tensor, table: Tensor) -> Tensor:
        """The logits of one token for each sequence; `table` is [sequences, blocks]. Runs without the host."""
        blocks = table.gather(1, (positions // self._block_size).unsqueeze(1)).squeeze(1)
        rows = torch.arange(len(ids), device=self._device)
        return self._forward(ids, self._own(positions), rows, self._step(positions, blocks, table))

    def _own(self, positions: Tensor) -> Tensor:
        """Positions in the sequence, from those in its blocks."""
        return positions - self._prefix_tokens if self._prefix_tokens else positions

    def _step(
        self, positions: Tensor, blocks: Tensor, table: Tensor, *, prefill: tuple[PrefillChunk, ...] = ()
    ) -> Step:
        """`positions` and `blocks` of each token; `table` is [decoding, blocks]."""
        decoding, width = table.shape
        is_beyond = torch.arange(width * self._block_size, device=self._device) > positions[:decoding].unsqueeze(1)
        mask = torch.zeros(is_beyond.shape, dtype=self._dtype, device=self._device)
        return Step(
            caches=self._caches,
            slots=(blocks.unsqueeze(1), self._heads.unsqueeze(0), (positions % self._block_size).unsqueeze(1)),
            decoding=decoding,
            table=self._rows(table),
            mask=mask.masked_fill_(is_beyond, float("-inf"))[:, None, None],
            prefill=prefill,
        )

    def _prefill(
        self, chunks: Sequence[RunnerInput], tables: Sequence[Tensor], *, first_row: int
    ) -> Iterable[PrefillChunk]:
        row = first_row
        for item, table in zip(chunks, tables, strict=True):
            own, length = len(item.tokens), item.start + len(item.tokens)
            mask = None
            if item.start:
                mask = torch.ones(own, length, dtype=torch.bool, device=self._device).tril(item.start)
            yield PrefillChunk(
                rows=slice(row, row + own), length=length, table=self._rows(table.unsqueeze(0)), mask=mask
            )
            row += own

    def _rows(self, table: Tensor) -> Tensor:
        """From blocks to the rows of their keys and values: [sequences, blocks] to [2, sequences, heads, blocks]."""
        heads = self._heads.view(2, 1, -1, 1)
        return table[None, :, None] * (2 * self._shape.heads) + heads

    def _to_device(self, *lists: Sequence[int]) -> tuple[Tensor, ...]:
        """One copy for all of them."""
        joined = array("q")
        for numbers in lists:
            joined.extend(numbers)
        together = torch.frombuffer(joined, dtype=torch.long) if joined else torch.empty(0, dtype=torch.long)
        if self._device.type == "cuda":
            together = together.pin_memory()
        together = together.to(self._device, non_blocking=True)
        parts: tuple[Tensor, ...] = torch.split(together, [len(numbers) for numbers in lists])
        return parts

    def _block_of_each_token(self, item: RunnerInput) -> list[int]:
        size = self._block_size
        return [item.blocks[position // size] for position in range(item.start, item.start + len(item.tokens))]

    def _blocks_until(self, length: int) -> int:
        return -(-length // self._block_size)


Forward = Callable[[Tensor, Tensor, Tensor, Step], Tensor]
"""From ids [tokens], positions [tokens], asked rows and the step to logits [asked, vocabulary]."""


def _forward(model: "PreTrainedModel | PlainGlm") -> Forward:
    """The model's computation over the paged cache; it takes the model over."""
    if can_fuse(model):
        fused = FusedGlm(model)  # type: ignore[arg-type]  # can_fuse knows its class
        pack(fused)
        return fused
    attention.use(cast("PreTrainedModel", model))  # a PlainGlm can be fused
    pack(model)
    return _ByModules(model)


class _ByModules(nn.Module):
    """The forward of any other architecture, by transformers' own modules."""

    def __init__(self, model: "PreTrainedModel | PlainGlm") -> None:
        super().__init__()
        self._model: Any = model

    def forward(self, ids: Tensor, positions: Tensor, asked: Tensor, step: Step) -> Tensor:
        output = self._model(
            input_ids=ids.unsqueeze(0),
            position_ids=positions.unsqueeze(0),
            use_cache=False,
            logits_to_keep=asked,
            paged=step,
        )
        result: Tensor = output.logits[0]
        return result


def _decode_numbers(decoding: Sequence[RunnerInput]) -> list[tuple[int, int, Sequence[int]]]:
    return [(item.tokens[0], item.start, item.blocks) for item in decoding]


def _padded(blocks: Sequence[int], width: int) -> list[int]:
    own = list(blocks[:width])
    return own + [0] * (width - len(own))


class CacheShape(NamedTuple):
    """What one token takes in the cache: for each layer, keys and values of each head."""

    layers: int
    heads: int
    width: int

    @classmethod
    def of(cls, model: "PreTrainedModel | PlainGlm") -> "CacheShape":
        """Read from the model's configuration."""
        config: Any = model.config
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        return cls(layers=config.num_hidden_layers, heads=heads, width=width)

    def bytes_per_token(self, dtype: torch.dtype) -> int:
        """Bytes of keys and values over all layers."""
        return 2 * self.layers * self.heads * self.width * dtype.itemsize
