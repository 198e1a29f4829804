"""The seed's policy: which turns of the history the model sees. Pure; the history itself stays whole."""

from collections.abc import Sequence
from typing import TypeVar

Pair = TypeVar("Pair", bound=Sequence[object])


def trim(
    history: Sequence[Pair],
    *,
    instruction: str,
    max_length: int = 600,
    max_turns: int = 12,
) -> list[Pair]:
    """Drop the oldest pairs but the first until the rest fits.

    `history` is a list of (prompt, response) pairs, oldest first; the first prompt carries `instruction` and stays.
    Lengths are characters by `len`: `len(instruction)` plus, for each pair, prompt and response joined by a space.
    With one pair left nothing more is dropped, however long it is. Source: the chat loop that MindGLM was
    published with; trimming the whole history gives the same window as trimming after every turn.
    """
    lengths = [len(f"{pair[0]} {pair[1]}") for pair in history]
    total = len(instruction) + sum(lengths)
    dropped = 0
    while len(history) - dropped > 1 and (total > max_length or len(history) - dropped > max_turns):
        dropped += 1
        total -= lengths[dropped]
    return [*history[:1], *history[1 + dropped :]]
