"""Windows of dialogues as the worker shows them, laid out in rows of one length; numpy alone, for many processes."""

import multiprocessing
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.bulk.tokens import CLOSE, END, NEXT_ROUND, OPEN_FIRST, PREFIX, Side, Tokens

MAX_CHARACTERS, MAX_TURNS = 600, 12  # as dialogue/window.py has them


class Window(NamedTuple):
    """Exchange `first` of the corpus, then those from `start` to `stop`; replies from `learned` on are learned.

    With `is_blind` the last words are left out: so the model learns what it would say without having heard them.
    """

    first: int
    start: int
    stop: int
    learned: int
    is_blind: bool = False


class Rows(NamedTuple):
    """Windows side by side, [rows, length]. `weights` are what predicting each id counts, nothing at a beginning.

    `windows` numbers a row's windows; what is left of a row is a window of padding.
    """

    ids: NDArray[np.int16]
    weights: NDArray[np.float32]
    places: NDArray[np.int16]
    windows: NDArray[np.int16]
    sizes: NDArray[np.int32]
    """Of all windows in order, the padding among them."""


class Form(NamedTuple):
    """How rows are filled."""

    rows: int
    length: int
    client_weight: float
    blind: float
    """The share of windows whose last words are left out."""
    pad_id: int = 1


def served(side: Side, dialogue: int, *, instruction: int, opening: int) -> Iterator[Window]:
    """Every reply once, after exactly what the worker would show: `training.data.windows.served` over counts."""
    first, end = int(side.first[dialogue]), int(side.first[dialogue + 1])
    length = side.characters[2 * first : 2 * end].reshape(-1, 2).sum(1) + opening + 1
    length[0] += instruction
    lengths = length.tolist()
    start, total = first + 1, instruction
    shown, learned = first + 1, first
    for index in range(first, end):
        if index > first:
            total += lengths[index - 1 - first]
            while index - start > 0 and (total > MAX_CHARACTERS or index - start + 1 > MAX_TURNS):
                total -= lengths[start - first]
                start += 1
        if start != shown:
            if learned < index:
                yield Window(first, shown, index, learned)
            shown, learned = start, index
    yield Window(first, shown, end, learned)


def blinded(windows: Sequence[Window], share: float, chance: random.Random) -> list[Window]:
    """The same, some of them without their last words."""
    return [window._replace(is_blind=chance.random() < share) for window in windows]


class Filler:
    """Writes windows as ids."""

    def __init__(self, tokens: Tokens, side: Side, form: Form) -> None:
        self._side, self._form, self._frame = side, form, tokens.frame

    def encode(self, window: Window, *, reply: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids, and what predicting each of them counts; cut to a row's length. `reply` replaces the last one's."""
        side, form, frame = self._side, self._form, self._frame
        parts = [frame[PREFIX]]
        weights = [0.0]
        exchanges = [window.first, *range(window.start, window.stop)]
        for number, exchange in enumerate(exchanges):
            is_learned = exchange >= window.learned
            if number:
                parts.append(frame[NEXT_ROUND])
                weights.append(float(exchanges[number - 1] >= window.learned))
            parts.append(frame[OPEN_FIRST + number])
            weights.append(0.0)
            if not (window.is_blind and number == len(exchanges) - 1):
                parts.append(self._text(side, 2 * exchange))
                weights.append(form.client_weight if is_learned else 0.0)
            parts.append(frame[CLOSE])
            weights.append(0.0)
            is_last = number == len(exchanges) - 1
            parts.append(self._text(side, 2 * (reply if is_last and reply is not None else exchange) + 1))
            weights.append(float(is_learned))
        parts.append(frame[END])
        weights.append(1.0)
        ids = np.concatenate(parts)[: form.length]
        return ids, np.repeat(np.array(weights, np.float32), [len(part) for part in parts])[: form.length]

    def rows(self, windows: Sequence[Window], chance: random.Random | None = None) -> Iterator[Rows]:
        """Groups of rows, in an order by `chance`; the last one is filled up with padding."""
        form = self._form
        encoded = [self.encode(window) for window in windows]
        packed = pack([len(ids) for ids, _ in encoded], length=form.length)
        if chance is not None:
            chance.shuffle(packed)  # otherwise long windows stand with long ones
        for start in range(0, len(packed), form.rows):
            yield self.laid([[encoded[index] for index in row] for row in packed[start : start + form.rows]])

    def laid(self, packed: Sequence[Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]]) -> Rows:
        """Rows of what is encoded and packed already."""
        form = self._form
        shape = (form.rows, form.length)
        ids = np.full(shape, form.pad_id, np.int16)
        weights, places, windows = np.zeros(shape, np.float32), np.zeros(shape, np.int16), np.zeros(shape, np.int16)
        sizes = []
        for row in range(form.rows):
            at = 0
            contents = packed[row] if row < len(packed) else []
            for number, (own, counted) in enumerate(contents):
                place = slice(at, at + len(own))
                ids[row, place], weights[row, place] = own, counted
                places[row, place], windows[row, place] = np.arange(len(own)), number
                at += len(own)
                sizes.append(len(own))
            if at < form.length:
                windows[row, at:], places[row, at:] = len(contents), np.arange(form.length - at)
                sizes.append(form.length - at)
        return Rows(ids, weights, places, windows, np.array(sizes, np.int32))

    @staticmethod
    def _text(side: Side, number: int) -> NDArray[np.int64]:
        start = side.starts[number]
        return side.ids[start : start + side.sizes[number]]


def pack(sizes: Sequence[int], *, length: int) -> list[list[int]]:
    """Indices of what goes into each row: the longest first, each into the fullest row that has room."""
    rows: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(length + 1)]
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        size = sizes[index]
        room = next((room for room in range(size, length + 1) if by_room[room]), None)
        if room is None:
            rows.append([])
            row, room = len(rows) - 1, length
        else:
            row = by_room[room].pop()
        rows[row].append(index)
        by_room[room - size].append(row)
    return rows


class Supply:
    """Batches without end from several processes, in an order that the seed decides alone."""

    def __init__(self, tokens: Tokens, form: Form, *, seed: int, processes: int) -> None:
        context = multiprocessing.get_context("fork")  # the corpus is shared, not copied
        self._queues = [context.Queue(maxsize=24) for _ in range(processes)]
        self._workers = [
            context.Process(target=_feed, args=(queue, _Part(number, processes, seed), tokens, form), daemon=True)
            for number, queue in enumerate(self._queues)
        ]
        for worker in self._workers:
            worker.start()

    def __iter__(self) -> Iterator[tuple[int, Rows]]:
        """The number of the epoch and a batch of it."""
        epoch = 0
        while True:
            for queue in self._queues:
                while (rows := queue.get()) is not None:
                    yield epoch, rows
            epoch += 1

    def stop(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.kill()


class _Part(NamedTuple):
    """Of each epoch, every `of`-th dialogue from the `number`-th on."""

    number: int
    of: int
    seed: int


def _feed(queue: "multiprocessing.Queue[Rows | None]", part: _Part, tokens: Tokens, form: Form) -> None:
    side = tokens.train
    epoch = 0
    while True:
        order = list(range(len(side)))
        random.Random(f"{part.seed} {epoch}").shuffle(order)  # noqa: S311  # an order, not a secret
        chance = random.Random(f"{part.seed} {epoch} {part.number}")  # noqa: S311  # likewise
        own = order[part.number :: part.of]
        windows = [
            window
            for dialogue in own
            for window in served(side, dialogue, instruction=tokens.instruction, opening=tokens.opening)
        ]
        windows = blinded(windows, form.blind, chance)
        chance.shuffle(windows)
        filler = Filler(tokens, side, form)
        for start in range(0, len(windows), _PACKED):
            batches = list(filler.rows(windows[start : start + _PACKED], chance))
            if len(batches) > 1:
                del batches[-1]  # half empty; its windows stand elsewhere in the next epoch
            for rows in batches:
                queue.put(rows)
        queue.put(None)
        epoch += 1


_PACKED = 6_000  # windows that are packed together
