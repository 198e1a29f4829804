"""Decides what the model computes next: every conversation's next token, and prompts in slices beside them.

First come, first served. A sequence that finds no block for its next token takes the youngest one's; that one is
computed again later from its ids. Knows ids and blocks, no tensors and no requests.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.engine.blocks import ROOT, BlockPool


@dataclass(slots=True, eq=False, kw_only=True)
class TokenSequence:
    """A prompt and its reply so far as ids, and how much of them the cache holds.

    `max_length` counts both; it must fit into the pool. A suspect was part of a step that broke: no two of them are
    computed together, so that only the one that breaks steps breaks another.
    """

    tokens: list[int]
    max_length: int
    is_suspect: bool = False
    computed: int = 0
    blocks: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """Tokens that are not in the cache yet; one while the reply grows."""
        return len(self.tokens) - self.computed

    def reset(self) -> None:
        """Forget what the cache held; the ids stay."""
        self.computed, self.blocks, self.keys = 0, [], []


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The tokens from `start` to `stop` of a sequence, to be computed in this step."""

    sequence: TokenSequence
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def is_last(self) -> bool:
        """Whether the model's answer to it is the sequence's next token."""
        return self.stop == len(self.sequence.tokens)


class Scheduler:
    """Plans steps of at most `max_tokens` tokens over at most `max_running` sequences."""

    def __init__(self, pool: BlockPool, *, max_running: int, max_tokens: int) -> None:
        self._pool = pool
        self._max_running = max_running
        self._max_tokens = max_tokens
        self._waiting: deque[TokenSequence] = deque()
        self._running: list[TokenSequence] = []  # oldest first

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    @property
    def running_count(self) -> int:
        """Sequences that hold blocks."""
        return len(self._running)

    @property
    def waiting_count(self) -> int:
        """Sequences that wait for a place or for blocks."""
        return len(self._waiting)

    @property
    def held_blocks(self) -> int:
        """Blocks that running sequences hold."""
        return self._pool.count - self._pool.free_count

    def add(self, sequence: TokenSequence) -> None:
        """Queue a new sequence."""
        self._waiting.append(sequence)

    def remove(self, sequence: TokenSequence) -> None:
        """Free the place and the blocks of a sequence, wherever it is."""
        if sequence in self._running:
            self._running.remove(sequence)
            self._evict(sequence)
        else:
            self._waiting.remove(sequence)

    def plan(self) -> list[Slice]:
        """The next step: growing replies first, then prompts in order; empty if there is nothing to do."""
        for sequence in list(self._running):
            self._make_room(sequence)
        growing = [sequence for sequence in self._running if sequence.pending == 1]
        slices = [_slice(sequence, 1) for sequence in growing]
        budget = self._max_tokens - len(slices)
        for sequence in self._prompts():
            if budget <= 0:
                break
            slices.append(_slice(sequence, budget))
            budget -= len(slices[-1])
        return sorted(slices, key=lambda planned: len(planned) > 1)  # single tokens are computed together

    def done(self, planned: Slice) -> None:
        """The slice is in the cache; its full blocks may be shared from now on."""
        sequence, size = planned.sequence, self._pool.size
        sequence.computed = planned.stop
        for number in range(len(sequence.keys), planned.stop // size):
            parent = sequence.keys[-1] if sequence.keys else ROOT
            key = self._pool.key(parent, sequence.tokens[number * size : (number + 1) * size])
            sequence.keys.append(key)
            self._pool.remember(sequence.blocks[number], key)

    def _prompts(self) -> Iterator[TokenSequence]:
        """Prompts that are being computed, then waiting ones as they are let in."""
        yield from [sequence for sequence in self._running if sequence.pending > 1]
        while self._waiting and self._has_place_for(self._waiting[0]) and self._admit(self._waiting[0]):
            self._running.append(self._waiting.popleft())
            yield self._running[-1]

    def _has_place_for(self, sequence: TokenSequence) -> bool:
        if sequence.is_suspect and any(running.is_suspect for running in self._running):
            return False
        return len(self._running) < self._max_running

    def _admit(self, sequence: TokenSequence) -> bool:
        """Give a waiting sequence its blocks, if every running one still has one to grow into."""
        sequence.blocks, sequence.keys = self._pool.share(sequence.tokens)
        sequence.computed = len(sequence.blocks) * self._pool.size
        missing = self._blocks_for(len(sequence.tokens)) - len(sequence.blocks)
        if missing > self._pool.free_count - len(self._running):
            self._evict(sequence)
            return False
        self._grow(sequence)
        return True

    def _make_room(self, sequence: TokenSequence) -> None:
        """Let a running sequence's tokens have blocks, at the cost of younger ones, and last of itself."""
        while sequence in self._running and not self._grow(sequence):
            youngest = self._running.pop()
            self._evict(youngest)
            self._waiting.appendleft(youngest)

    def _grow(self, sequence: TokenSequence) -> bool:
        while len(sequence.blocks) < self._blocks_for(len(sequence.tokens)):
            block = self._pool.take()
            if block is None:
                return False
            sequence.blocks.append(block)
        return True

    def _evict(self, sequence: TokenSequence) -> None:
        self._pool.release(sequence.blocks)
        sequence.reset()

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._pool.size)


def _slice(sequence: TokenSequence, budget: int) -> Slice:
    stop = min(len(sequence.tokens), sequence.computed + budget)
    return Slice(sequence=sequence, start=sequence.computed, stop=stop)
