"""Runs steps on the device: chunks of sequences in, next tokens out. Knows tensors and blocks, no requests."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from worker.engine import attention
from worker.engine.attention import KeyValues, PrefillChunk, Step
from worker.engine.packed import pack
from worker.engine.runner_input import OutOfMemory, RunnerInput
from worker.engine.sampling import Sampler


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
        """Replace the cache by an empty one of another size."""
        self._block_count = block_count
        self.reset()

    def reset(self) -> None:
        """Replace the cache by an empty one."""
        self._caches: tuple[KeyValues, ...] = ()  # first, so that the old and the new one never exist together
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        shape = (self._block_count, self._shape.heads, self._block_size, self._shape.width)
        self._caches = tuple(
            KeyValues(keys=self._zeros(shape), values=self._zeros(shape)) for _ in range(self._shape.layers)
        )

    @torch.inference_mode()
    def run(self, inputs: Sequence[RunnerInput]) -> list[int | None]:
        """The next token of each work that asks for one, in order; None where the logits were unusable.

        Inputs of one token (decode) come before longer ones (prefill). Raises `OutOfMemory`.
        """
        try:
            logits = self.logits(inputs)
            return self._sampler.sample(logits) if len(logits) else []
        except torch.OutOfMemoryError as error:
            raise OutOfMemory from error

    @torch.inference_mode()
    def logits(self, inputs: Sequence[RunnerInput]) -> Tensor:
        """The logits after the last token of each work that asks for them: [asking, vocabulary]."""
        ids = [token for item in inputs for token in item.tokens]
        positions = [item.start + offset for item in inputs for offset in range(len(item.tokens))]
        ends = torch.tensor([len(item.tokens) for item in inputs]).cumsum(0) - 1
        asked = ends[torch.tensor([item.needs_token for item in inputs])]
        output = self._model(
            input_ids=self._tensor(ids).unsqueeze(0),
            position_ids=self._tensor(positions).unsqueeze(0),
            use_cache=False,
            logits_to_keep=asked.to(self._device),
            paged=self._step(inputs),
        )
        result: Tensor = output.logits[0]
        return result

    def _step(self, inputs: Sequence[RunnerInput]) -> Step:
        decoding = [item for item in inputs if len(item.tokens) == 1]
        table = self._table([item.blocks[: self._blocks_until(item.start + 1)] for item in decoding])
        return Step(
            caches=self._caches,
            slots=self._slots(inputs),
            decoding=len(decoding),
            table=table,
            mask=self._mask([item.start + 1 for item in decoding], width=table.shape[2] * self._block_size),
            prompts=tuple(self._prompts(inputs[len(decoding) :], first_row=len(decoding))),
        )

    def _prompts(self, inputs: Sequence[RunnerInput], *, first_row: int) -> list[PrefillChunk]:
        prompts = []
        row = first_row
        for item in inputs:
            own, length = len(item.tokens), item.start + len(item.tokens)
            mask = None
            if item.start:
                mask = torch.ones(own, length, dtype=torch.bool, device=self._device).tril(item.start)
            table = self._table([item.blocks[: self._blocks_until(length)]])
            prompts.append(PrefillChunk(rows=slice(row, row + own), length=length, table=table, mask=mask))
            row += own
        return prompts

    def _slots(self, inputs: Sequence[RunnerInput]) -> Tensor:
        """Where each head of each token is stored: [heads * tokens]."""
        size, heads = self._block_size, self._shape.heads
        first = self._tensor(
            [
                item.blocks[position // size] * heads * size + position % size
                for item in inputs
                for position in range(item.start, item.start + len(item.tokens))
            ]
        )
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
