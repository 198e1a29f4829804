"""The seed's policy: which turns of the history the model sees. Pure; the history itself stays whole.

What counts towards the window is the prompt as the seed writes it, so that prompt is defined here and nowhere else.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

Pair = TypeVar("Pair", bound=Sequence[object])

CLIENT = "求助者:"
SUPPORTER = "。支持者:"


class Answered(Protocol):
    """A person's words and the reply to them, without the prompt's frame."""

    @property
    def text(self) -> str: ...
    @property
    def reply(self) -> str: ...


Exchange = TypeVar("Exchange", bound=Answered)


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


def seed_prompt(text: str, *, instruction: str = "") -> str:
    """The person's words as MindGLM expects them; only the first exchange carries `instruction`."""
    return f"{instruction}{CLIENT}{text}{SUPPORTER}"


def window_of(
    history: Sequence[Exchange], *, instruction: str, max_length: int = 600, max_turns: int = 12
) -> list[Exchange]:
    """The exchanges that the model sees, oldest first: `trim` over the prompts that are made of them."""
    counted = [
        (seed_prompt(past.text, instruction="" if number else instruction), past.reply, past)
        for number, past in enumerate(history)
    ]
    window = trim(counted, instruction=instruction, max_length=max_length, max_turns=max_turns)
    return [past for _, _, past in window]
