"""Batches without end, in an order that a seed decides and that can be taken up again at any place."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from training.data.dialogue import Dialogue
from training.data.encoding import Encoded, Encoder
from training.data.packing import Batch, collate, pack
from training.data.windows import Window

_CHUNK = 512  # dialogues that are packed together

Cut = Callable[[Dialogue], Iterable[Window]]


class Arrange(Protocol):
    """How windows are put into rows: `pack` or `fill`."""

    def __call__(self, encoded: Sequence[Encoded], *, length: int) -> list[list[Encoded]]: ...


class Position(NamedTuple):
    """The next batch: of which epoch, which chunk of dialogues, which batch of the chunk."""

    epoch: int = 0
    chunk: int = 0
    batch: int = 0


def batches(
    dialogues: Sequence[Dialogue],
    encoder: Encoder,
    cut: Cut,
    *,
    rows: int,
    length: int,
    pad_id: int,
    seed: int,
    arrange: Arrange = pack,
) -> Callable[[Position], Iterator[tuple[Batch, Position]]]:
    """From a position on: batches of `rows` × `length` places, each with the position after it."""

    def run(start: Position) -> Iterator[tuple[Batch, Position]]:
        epoch, chunk, skipped = start
        while True:
            order = list(range(len(dialogues)))
            random.Random(f"{seed} {epoch}").shuffle(order)  # noqa: S311  # an order, not a secret
            for number in range(chunk, -(-len(order) // _CHUNK)):
                chosen = [dialogues[index] for index in order[number * _CHUNK : (number + 1) * _CHUNK]]
                encoded = [encoder.encode(window) for dialogue in chosen for window in cut(dialogue)]
                packed = arrange(encoded, length=length)
                random.Random(f"{seed} {epoch} {number}").shuffle(packed)  # noqa: S311  # an order, not a secret
                groups = _groups(packed, rows)
                for index in range(skipped, len(groups)):
                    after = Position(epoch, number, index + 1)
                    yield collate(groups[index], length=length, pad_id=pad_id), after
                skipped = 0
            epoch, chunk = epoch + 1, 0

    return run


def in_order(
    dialogues: Sequence[Dialogue], encoder: Encoder, cut: Cut, *, rows: int, length: int, pad_id: int
) -> Iterator[Batch]:
    """Everything once and whole, for measuring: rows are longer than `length` where a window is."""
    encoded = [encoder.encode(window) for dialogue in dialogues for window in cut(dialogue)]
    length = max(length, *(len(one.ids) for one in encoded))
    packed = pack(encoded, length=length)
    for start in range(0, len(packed), rows):
        yield collate(packed[start : start + rows], length=length, pad_id=pad_id)


def _groups(packed: list[list[Encoded]], rows: int) -> list[list[list[Encoded]]]:
    """Full batches; what is left over comes again in the next epoch, unless it is all there is."""
    full = len(packed) // rows
    return [packed[index * rows : (index + 1) * rows] for index in range(full)] if full else [packed]
