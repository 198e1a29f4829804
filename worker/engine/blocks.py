"""The key-value cache as numbered blocks of tokens: reference counts, and which prefixes are already computed.

A block is held by one or more sequences, or free. A free block keeps its content and can be reused by prefix until
it is allocated again; the one freed longest ago is allocated first (LRU).
"""

import hashlib
from array import array
from collections.abc import Sequence

ROOT = b""
"""The key of an empty prefix."""


class BlockPool:
    """`count` blocks of `size` tokens each. Not thread-safe."""

    def __init__(self, *, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self._holders = [0] * count
        self._free: dict[int, None] = dict.fromkeys(range(count))  # ordered by the time they were freed
        self._by_key: dict[bytes, int] = {}
        self._key_of: dict[int, bytes] = {}

    @property
    def free_count(self) -> int:
        """Blocks that can be allocated."""
        return len(self._free)

    def key(self, parent: bytes, tokens: Sequence[int]) -> bytes:
        """Hash of one full block's tokens and of everything before it."""
        return hashlib.blake2b(parent + array("q", tokens).tobytes(), digest_size=16).digest()

    def share(self, tokens: Sequence[int]) -> tuple[list[int], list[bytes]]:
        """Hold the blocks of the longest cached prefix, but leave a token to compute; also gives their keys."""
        blocks: list[int] = []
        keys: list[bytes] = []
        parent = ROOT
        for end in range(self.size, len(tokens), self.size):
            parent = self.key(parent, tokens[end - self.size : end])
            block = self._by_key.get(parent)
            if block is None:
                break
            self._hold(block)
            blocks.append(block)
            keys.append(parent)
        return blocks, keys

    def allocate(self) -> int | None:
        """Hold a block with undefined content, if one is free."""
        if not self._free:
            return None
        block = next(iter(self._free))
        self._hold(block)
        if key := self._key_of.pop(block, None):
            del self._by_key[key]
        return block

    def pin(self, tokens: Sequence[int]) -> None:
        """Hold the first blocks for ever, as the computed beginning of every sequence that starts with these tokens.

        Comes before anything else is allocated.
        """
        parent = ROOT
        for end in range(self.size, len(tokens) + 1, self.size):
            block = self.allocate()
            if block is None:
                raise ValueError(f"{len(tokens)} pinned tokens do not fit into {self.count} blocks")
            parent = self.key(parent, tokens[end - self.size : end])
            self.register(block, parent)

    def register(self, block: int, key: bytes) -> None:
        """Make a full block reusable by its prefix; of two equal ones the first is kept."""
        if key not in self._by_key:
            self._by_key[key] = block
            self._key_of[block] = key

    def release(self, blocks: Sequence[int]) -> None:
        """Release blocks, given in token order; the end of a prefix is reused before its beginning."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if not self._holders[block]:
                self._free[block] = None

    def _hold(self, block: int) -> None:
        self._holders[block] += 1
        self._free.pop(block, None)
