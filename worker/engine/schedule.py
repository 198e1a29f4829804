"""Decides what the model computes next: a decode token for each running sequence, and prefill chunks beside them.

First come, first served. A sequence that finds no free block preempts the youngest one, which is recomputed later
from its ids. Knows ids and blocks, no tensors and no requests.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.engine.blocks import ROOT, BlockPool


@dataclass(slots=True, eq=False, kw_only=True)
class TokenSequence:
    """A prompt and its reply so far as ids, and how much of them the cache holds.

    `max_length` counts both; it must fit into the pool. `retry_alone` marks a sequence that was part of a failed
    step: no two of them share a step, so that the faulty one cannot fail another again.

    `unconditional` is the second sequence of a guided request (worker/engine/guidance.py), with the same reply after
    another prompt. Both are admitted, preempted and removed together, and decode in the same steps.
    """

    tokens: list[int]
    max_length: int
    unconditional: "TokenSequence | None" = None
    retry_alone: bool = False
    computed: int = 0
    blocks: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    @property
    def members(self) -> "tuple[TokenSequence, ...]":
        """Itself, and its unconditional one if it is guided."""
        return (self,) if self.unconditional is None else (self, self.unconditional)

    @property
    def is_decoding(self) -> bool:
        """Whether all that is missing is the last token, of both where it is guided."""
        return all(member.pending == 1 for member in self.members)

    def append(self, token: int) -> None:
        """Extend the reply."""
        for member in self.members:
            member.tokens.append(token)

    @property
    def pending(self) -> int:
        """Tokens that are not in the cache yet; one in decode."""
        return len(self.tokens) - self.computed

    def reset(self) -> None:
        """Forget what the cache held; the ids stay."""
        for member in self.members:
            member.computed, member.blocks, member.keys = 0, [], []


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The tokens from `start` to `stop` of a sequence, to be computed in this step."""

    sequence: TokenSequence
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def needs_token(self) -> bool:
        """Whether it reaches the sequence's end, so that the next token is sampled."""
        return self.stop == len(self.sequence.tokens)


class Scheduler:
    """Schedules steps of at most `max_tokens` tokens over at most `max_running` sequences."""

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
        """Sequences that wait for a slot or for blocks."""
        return len(self._waiting)

    @property
    def held_blocks(self) -> int:
        """Blocks that running sequences hold."""
        return self._pool.count - self._pool.free_count

    def add(self, sequence: TokenSequence) -> None:
        """Queue a new sequence."""
        self._waiting.append(sequence)

    def remove(self, sequence: TokenSequence) -> None:
        """Free the slot and the blocks of a sequence, running or waiting."""
        if sequence in self._running:
            self._running.remove(sequence)
            self._release(sequence)
        else:
            self._waiting.remove(sequence)

    def schedule(self) -> list[Chunk]:
        """The next step: decode first, then prefill in order of arrival; empty if there is nothing to do."""
        for sequence in list(self._running):
            self._reserve(sequence)
        chunks = [chunk for sequence in self._running if sequence.is_decoding for chunk in _decode(sequence)]
        budget = self._max_tokens - len(chunks)
        for sequence in self._prefilling():
            added = list(_prefill(sequence, budget))
            if not added:
                break
            chunks += added
            budget -= sum(map(len, added))
        return sorted(chunks, key=lambda chunk: len(chunk) > 1)  # the runner wants single tokens first

    def mark_computed(self, chunk: Chunk) -> None:
        """The chunk is in the cache; its full blocks may be shared from now on."""
        sequence, size = chunk.sequence, self._pool.size
        sequence.computed = chunk.stop
        for number in range(len(sequence.keys), chunk.stop // size):
            parent = sequence.keys[-1] if sequence.keys else ROOT
            key = self._pool.key(parent, sequence.tokens[number * size : (number + 1) * size])
            sequence.keys.append(key)
            self._pool.register(sequence.blocks[number], key)

    def _prefilling(self) -> Iterator[TokenSequence]:
        """Running sequences in prefill, then waiting ones as they are admitted."""
        yield from [sequence for sequence in self._running if not sequence.is_decoding]
        while self._waiting and self._has_slot_for(self._waiting[0]) and self._admit(self._waiting[0]):
            self._running.append(self._waiting.popleft())
            yield self._running[-1]

    def _has_slot_for(self, sequence: TokenSequence) -> bool:
        if sequence.retry_alone and any(running.retry_alone for running in self._running):
            return False
        return len(self._running) < self._max_running

    def _admit(self, sequence: TokenSequence) -> bool:
        """Allocate a waiting sequence's blocks, if every running one can still get one more."""
        missing = 0
        for member in sequence.members:
            member.blocks, member.keys = self._pool.share(member.tokens)
            member.computed = len(member.blocks) * self._pool.size
            missing += self._blocks_for(len(member.tokens)) - len(member.blocks)
        if missing > self._pool.free_count - sum(len(running.members) for running in self._running):
            self._release(sequence)
            return False
        self._allocate(sequence)
        return True

    def _reserve(self, sequence: TokenSequence) -> None:
        """Allocate blocks for a running sequence's tokens, preempting the youngest ones, and last of all itself."""
        while sequence in self._running and not self._allocate(sequence):
            youngest = self._running.pop()
            self._release(youngest)
            self._waiting.appendleft(youngest)

    def _allocate(self, sequence: TokenSequence) -> bool:
        for member in sequence.members:
            while len(member.blocks) < self._blocks_for(len(member.tokens)):
                block = self._pool.allocate()
                if block is None:
                    return False
                member.blocks.append(block)
        return True

    def _release(self, sequence: TokenSequence) -> None:
        for member in sequence.members:
            self._pool.release(member.blocks)
        sequence.reset()

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._pool.size)


def _decode(sequence: TokenSequence) -> Iterator[Chunk]:
    for member in sequence.members:
        yield Chunk(sequence=member, start=member.computed, stop=len(member.tokens))


def _prefill(sequence: TokenSequence, budget: int) -> Iterator[Chunk]:
    """Nothing where the budget is used up. A guided sequence leaves its last token to a step with both members."""
    if sequence.is_decoding:  # the whole prompt but its last token was found in the cache
        if budget >= len(sequence.members):
            yield from _decode(sequence)
        return
    kept = len(sequence.members) - 1
    for member in sequence.members:
        stop = min(len(member.tokens) - kept, member.computed + budget)
        if stop > member.computed:
            yield Chunk(sequence=member, start=member.computed, stop=stop)
            budget -= stop - member.computed
