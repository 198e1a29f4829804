"""What the scheduler's side asks of the runner's side: ids and blocks, neither requests nor tensors."""

from collections.abc import Sequence
from typing import NamedTuple


class Work(NamedTuple):
    """Tokens to be computed, the first of them at position `start`, and all blocks of their sequence."""

    tokens: Sequence[int]
    start: int
    blocks: Sequence[int]
    is_drawn: bool  # whether the token after the last one is asked for


class OutOfMemory(Exception):  # says what happened, as the port's errors do
    """The device had no memory for a step."""
