"""Computes steps on the device: slices of sequences in, next tokens out. Knows tensors and blocks, no requests."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from worker.engine import attention
from worker.engine.attention import KeyValues, Prompt, Step
from worker.engine.packed import pack
from worker.engine.sampling import Sampler
from worker.engine.work import OutOfMemory, Work


class Runner:
    """A model with its cache. One thread at a time."""

    def __init__(self, model: PreTrainedModel, *, sampler: Sampler, block_count: int, block_size: int) -> None:
        attention.register()
        model.set_attn_implementation(attention.NAME)
        pack(model)
        self._model: Any = model
        self._sampler = sampler
        self._shape = CacheShape.of(model)
        self._block_size = block_size
        self._block_count = block_count
        self._device = model.device
        self.reset()

    def resize(self, block_count: int) -> None:
        """Make an empty cache of another size."""
        self._block_count = block_count
        self.reset()

    def reset(self) -> None:
        """Throw the cache away and make an empty one."""
        self._caches: tuple[KeyValues, ...] = ()  # first, so that both never exist at once
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        shape = (self._block_count, self._shape.heads, self._block_size, self._shape.width)
        self._caches = tuple(
            KeyValues(keys=self._zeros(shape), values=self._zeros(shape)) for _ in range(self._shape.layers)
        )

    @torch.inference_mode()
    def run(self, works: Sequence[Work]) -> list[int | None]:
        """The next token of each work that asks for one, in order; None where the model gave no number.

        Works of one token come first. Raises `OutOfMemory`.
        """
        try:
            logits = self.logits(works)
            return self._sampler.draw(logits) if len(logits) else []
        except torch.OutOfMemoryError as error:
            raise OutOfMemory from error

    @torch.inference_mode()
    def logits(self, works: Sequence[Work]) -> Tensor:
        """The logits after the last token of each work that asks for them: [asking, vocabulary]."""
        ids = [token for work in works for token in work.tokens]
        positions = [work.start + offset for work in works for offset in range(len(work.tokens))]
        ends = torch.tensor([len(work.tokens) for work in works]).cumsum(0) - 1
        asked = ends[torch.tensor([work.is_drawn for work in works])]
        output = self._model(
            input_ids=self._tensor(ids).unsqueeze(0),
            position_ids=self._tensor(positions).unsqueeze(0),
            use_cache=False,
            logits_to_keep=asked.to(self._device),
            paged=self._step(works),
        )
        result: Tensor = output.logits[0]
        return result

    def _step(self, works: Sequence[Work]) -> Step:
        growing = [work for work in works if len(work.tokens) == 1]
        table = self._table([work.blocks[: self._blocks_until(work.start + 1)] for work in growing])
        return Step(
            caches=self._caches,
            slots=self._slots(works),
            growing=len(growing),
            table=table,
            mask=self._mask([work.start + 1 for work in growing], width=table.shape[2] * self._block_size),
            prompts=tuple(self._prompts(works[len(growing) :], first_row=len(growing))),
        )

    def _prompts(self, works: Sequence[Work], *, first_row: int) -> list[Prompt]:
        prompts = []
        row = first_row
        for work in works:
            own, length = len(work.tokens), work.start + len(work.tokens)
            mask = None
            if work.start:
                mask = torch.ones(own, length, dtype=torch.bool, device=self._device).tril(work.start)
            table = self._table([work.blocks[: self._blocks_until(length)]])
            prompts.append(Prompt(rows=slice(row, row + own), length=length, table=table, mask=mask))
            row += own
        return prompts

    def _slots(self, works: Sequence[Work]) -> Tensor:
        """Where each head of each token is stored: [heads * tokens]."""
        size, heads = self._block_size, self._shape.heads
        places = ((work, work.start + offset) for work in works for offset in range(len(work.tokens)))
        first = self._tensor([work.blocks[place // size] * heads * size + place % size for work, place in places])
        return (torch.arange(heads, device=self._device).unsqueeze(1) * size + first).reshape(-1)

    def _table(self, blocks: Sequence[Sequence[int]]) -> Tensor:
        """Rows of each head of each sequence's blocks, padded with block 0: [sequences, heads, blocks]."""
        width = max(map(len, blocks), default=0)
        padded = self._tensor([[*own, *[0] * (width - len(own))] for own in blocks]).reshape(len(blocks), 1, width)
        return padded * self._shape.heads + torch.arange(self._shape.heads, device=self._device).view(1, -1, 1)

    def _mask(self, lengths: Sequence[int], *, width: int) -> Tensor:
        is_beyond = torch.arange(width, device=self._device) >= self._tensor(lengths).unsqueeze(1)
        empty = torch.zeros(is_beyond.shape, dtype=self._model.dtype, device=self._device)
        return empty.masked_fill_(is_beyond, float("-inf"))[:, None, None]

    def _blocks_until(self, length: int) -> int:
        return -(-length // self._block_size)

    def _tensor(self, values: Sequence[Any]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, dtype=self._model.dtype, device=self._device)


class CacheShape(NamedTuple):
    """What one token takes in the cache: for each layer, keys and values of each head."""

    layers: int
    heads: int
    width: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> "CacheShape":
        """Read from the model's configuration."""
        config: Any = model.config
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        return cls(layers=config.num_hidden_layers, heads=heads, width=width)

    def bytes_per_token(self, dtype: torch.dtype) -> int:
        """Bytes of keys and values over all layers."""
        return 2 * self.layers * self.heads * self.width * dtype.itemsize
