"""What the step loop passes to the runner: ids and block numbers, neither requests nor tensors."""

from collections.abc import Sequence
from typing import NamedTuple


class RunnerInput(NamedTuple):
    """Tokens of one sequence to compute in this step, the first at position `start`; `blocks` are all of its blocks."""

    tokens: Sequence[int]
    start: int
    blocks: Sequence[int]
    needs_token: bool  # whether the token after the last one is sampled
    guidance: float | None = None  # a scale: the next input is this one's unconditional twin, and one token is sampled


class OutOfMemory(Exception):  # named after the event, like the port's errors
    """The device had no memory for a step."""
