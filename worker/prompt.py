"""The seed's prompt in ChatGLM2's rounds, character for character.

The frame is kept apart from what people said, so that a tokenizer reads control tokens in the frame only.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from dialogue.window import CLIENT, SUPPORTER
from worker.engine.port import Exchange

PromptStyle = Literal["seed", "fullwidth"]

_ROLES = {"seed": (CLIENT, SUPPORTER), "fullwidth": ("求助者：", "。支持者：")}  # equally long: one window fits both
_FULLWIDTH = str.maketrans(",:;?!", "，：；？！")


class Piece(NamedTuple):
    """A part of the prompt; `is_frame`: written by us, so it may hold control tokens."""

    text: str
    is_frame: bool


def rounds(history: Sequence[Exchange], text: str, *, instruction: str, style: PromptStyle = "seed") -> Iterator[Piece]:
    """The prompt of ChatGLM2's own `build_prompt` over the seed's turns, ending where the reply begins."""
    opening, closing = _ROLES[style]
    lead = _punctuated(instruction, style)
    separator = ""
    for number, (earlier, reply) in enumerate(history, start=1):
        yield Piece(f"{separator}[Round {number}]\n\n问：{lead}{opening}", is_frame=True)
        yield Piece(earlier, is_frame=False)
        yield Piece(f"{closing}\n\n答：", is_frame=True)
        yield Piece(reply, is_frame=False)
        lead, separator = "", "\n\n"
    yield Piece(f"{separator}[Round {len(history) + 1}]\n\n问：{lead}{opening}", is_frame=True)
    yield Piece(text, is_frame=False)
    yield Piece(f"{closing}\n\n答：", is_frame=True)


def _punctuated(instruction: str, style: PromptStyle) -> str:
    return instruction.translate(_FULLWIDTH) if style == "fullwidth" else instruction
