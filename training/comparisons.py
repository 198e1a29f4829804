"""Batches of comparisons for reward model and DPO: the chosen replies' rows first, then the rejected ones'."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from training.data.encoding import Encoded, Encoder
from training.data.packing import Batch, collate
from training.data.preferences import Preference, encode
from training.trouble import TrainingTrouble

_STEP = 64  # tokens; few lengths, so that little memory is fragmented


class BatchPosition(NamedTuple):
    """The next batch: of which epoch, how many comparisons in."""

    epoch: int = 0
    done: int = 0


class Comparisons:
    """Encoded comparisons, shuffled anew in each epoch."""

    def __init__(
        self, preferences: Sequence[Preference], encoder: Encoder, *, rows: int, length: int, pad_id: int, seed: int
    ) -> None:
        found = (encode(encoder, one, length=length) for one in preferences)
        self._pairs = [pair for pair in found if pair is not None]
        if not self._pairs:
            raise TrainingTrouble(f"No comparison fits into {length} tokens; there is nothing to learn from.")
        self._rows, self._pad_id, self._seed = rows, pad_id, seed

    def __len__(self) -> int:
        return len(self._pairs)

    def batches(self, start: BatchPosition) -> Iterator[tuple[Batch, BatchPosition]]:
        """Without end."""
        epoch, index = start
        while True:
            order = list(range(len(self._pairs)))
            random.Random(f"{self._seed} {epoch}").shuffle(order)  # noqa: S311  # an order, not a secret
            while index < len(order):
                chosen = [self._pairs[number] for number in order[index : index + self._rows]]
                index += self._rows
                yield self._batch(chosen), BatchPosition(epoch, index)
            epoch, index = epoch + 1, 0

    def once(self) -> Iterator[Batch]:
        """Everything in order, for measuring."""
        for start in range(0, len(self._pairs), self._rows):
            yield self._batch(self._pairs[start : start + self._rows])

    def _batch(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> Batch:
        encoded = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
        return one_to_a_row(encoded, pad_id=self._pad_id)


def one_to_a_row(encoded: Sequence[Encoded], *, pad_id: int) -> Batch:
    """A batch whose rows hold one window each, filled up on the right."""
    longest = max(len(one.ids) for one in encoded)
    return collate([[one] for one in encoded], length=-(-longest // _STEP) * _STEP, pad_id=pad_id)
