"""Encoded windows side by side in rows of one length, so that nearly no place of a batch is empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.encoding import Encoded, Part

_NOTHING = -1
_LEAST_PART = 32  # tokens; less of a window teaches little


class Weights(NamedTuple):
    """What predicting an id counts in the loss, by whose words it is."""

    frame: float
    client: float
    reply: float

    def table(self) -> Tensor:
        """By `Part`."""
        by_part = {Part.GIVEN: 0.0, Part.FRAME: self.frame, Part.CLIENT: self.client, Part.REPLY: self.reply}
        return torch.tensor([by_part[part] for part in Part])


BOTH_SIDES = Weights(frame=0.0, client=1.0, reply=1.0)
"""To learn the language: what clients say is as good as what supporters say."""

REPLIES = Weights(frame=0.0, client=0.0, reply=1.0)
"""To learn to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of several windows each. All are [rows, length]; `windows` numbers a row's windows, -1 where it is empty.

    `labels` are the ids to be predicted at each place, `parts` the `Part` of each label.
    """

    ids: Tensor
    windows: Tensor
    labels: Tensor
    parts: Tensor

    def bias(self, dtype: torch.dtype) -> Tensor:
        """Added to the scores of attention, [rows, 1, length, length]: each window sees its own past only."""
        length = self.ids.shape[1]
        same = self.windows[:, :, None] == self.windows[:, None, :]
        allowed = same & torch.ones(length, length, dtype=torch.bool, device=self.ids.device).tril()
        zeros = torch.zeros(allowed.shape, dtype=dtype, device=self.ids.device)
        return zeros.masked_fill_(~allowed, -torch.inf)[:, None]

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(
            ids=self.ids.to(device),
            windows=self.windows.to(device),
            labels=self.labels.to(device),
            parts=self.parts.to(device),
        )


def pack(encoded: Sequence[Encoded], *, length: int) -> list[list[Encoded]]:
    """Rows of windows, the longest first, each into the fullest row that has room; what is too long is cut."""
    rows: list[list[Encoded]] = []
    by_room: dict[int, list[int]] = {}
    for window in sorted(encoded, key=lambda item: -len(item.ids)):
        size = min(len(window.ids), length)
        fitting = next((free for free in range(size, length + 1) if by_room.get(free)), None)
        if fitting is None:
            rows.append([])
        index = len(rows) - 1 if fitting is None else by_room[fitting].pop()
        rows[index].append(Encoded(window.ids[:length], window.parts[:length]))
        by_room.setdefault((length if fitting is None else fitting) - size, []).append(index)
    return rows


def fill(encoded: Sequence[Encoded], *, length: int) -> list[list[Encoded]]:
    """Rows of windows in the given order, each row full: what does not fit goes on in the next row as a window."""
    rows: list[list[Encoded]] = [[]]
    room = length
    for window in encoded:
        rest = window
        while rest.ids:
            if room < min(len(rest.ids), _LEAST_PART):
                rows.append([])
                room = length
            part, rest = _cut(rest, room)
            rows[-1].append(part)
            room -= len(part.ids)
    return rows


def _cut(window: Encoded, size: int) -> tuple[Encoded, Encoded]:
    return Encoded(window.ids[:size], window.parts[:size]), Encoded(window.ids[size:], window.parts[size:])


def collate(rows: Sequence[Sequence[Encoded]], *, length: int, pad_id: int) -> Batch:
    """A batch of packed rows."""
    ids = torch.full((len(rows), length), pad_id)
    windows = torch.full((len(rows), length), _NOTHING)
    labels = torch.zeros(len(rows), length, dtype=torch.long)
    parts = torch.full((len(rows), length), Part.GIVEN.value)
    for row, encoded in enumerate(rows):
        start = 0
        for number, one in enumerate(encoded):
            stop = start + len(one.ids)
            ids[row, start:stop] = torch.tensor(one.ids)
            windows[row, start:stop] = number
            labels[row, start : stop - 1] = torch.tensor(one.ids[1:])
            parts[row, start : stop - 1] = torch.tensor(one.parts[1:])
            start = stop
    return Batch(ids=ids, windows=windows, labels=labels, parts=parts)
