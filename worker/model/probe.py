"""Measures which punctuation of the prompt the loaded weights find likelier: the one they were trained on.

For each reply of a supporter, the loss of its tokens under both prompts; the difference is taken reply by reply.
"""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from transformers import PreTrainedModel

from dialogue.window import window_of
from worker.engine.port import Exchange, ModelUnusable
from worker.prompt import Piece, PromptStyle, rounds
from worker.tokenizer import Tokenizer

_CLEAR = 2.0  # standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleComparison:
    """Mean loss per token of each style (nats), and how sure the difference is."""

    losses: dict[PromptStyle, float]
    reply_count: int
    standard_error: float

    @property
    def better(self) -> PromptStyle | None:
        """The style to set, if one is clearly better."""
        difference = self.losses["fullwidth"] - self.losses["seed"]
        if abs(difference) <= _CLEAR * self.standard_error:
            return None
        return "seed" if difference > 0 else "fullwidth"


def read_dialogues(file: Path) -> list[list[Exchange]]:
    """One dialogue a line: a JSON list of [text, reply], or of {"role": …, "content": …} by turns, the client first.

    Raises `ModelUnusable` if a line is neither.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    try:
        return [_dialogue(json.loads(line)) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnusable(f"{file} holds a line that is no dialogue; see `mindglm model probe --help`.") from error


def _dialogue(items: Sequence[Any]) -> list[Exchange]:
    if not isinstance(items, list):
        raise TypeError
    if items and isinstance(items[0], dict):
        said = [str(item["content"]) for item in items]
        return [Exchange(*pair) for pair in zip(said[::2], said[1::2], strict=False)]
    return [Exchange(str(text), str(reply)) for text, reply in items]


def probe(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    dialogues: Sequence[Sequence[Exchange]],
    *,
    instruction: str,
    max_replies: int,
) -> StyleComparison:
    """Compare both styles on the last replies of the dialogues, seen through the window."""
    differences: list[float] = []
    totals: dict[PromptStyle, float] = {"seed": 0.0, "fullwidth": 0.0}
    for dialogue in [dialogue for dialogue in dialogues if dialogue][:max_replies]:
        losses = {
            style: _loss(model, tokenizer, _pieces(dialogue, instruction, style), dialogue[-1].reply)
            for style in get_args(PromptStyle)
        }
        differences.append(losses["fullwidth"] - losses["seed"])
        for style, loss in losses.items():
            totals[style] += loss
    if len(differences) < 2:  # noqa: PLR2004  # a spread needs two
        raise ModelUnusable("At least two dialogues are needed to compare the prompts.")
    count = len(differences)
    return StyleComparison(
        losses={style: total / count for style, total in totals.items()},
        reply_count=count,
        standard_error=statistics.stdev(differences) / math.sqrt(count),
    )


def _pieces(dialogue: Sequence[Exchange], instruction: str, style: PromptStyle) -> Iterator[Piece]:
    *earlier, last = dialogue
    history = window_of(earlier, instruction=instruction)
    return rounds(history, last.text, instruction=instruction, style=style)


@torch.inference_mode()
def _loss(model: PreTrainedModel, tokenizer: Tokenizer, pieces: Iterator[Piece], reply: str) -> float:
    """Mean loss of the reply's tokens."""
    prompt = tokenizer.prompt_ids(pieces)
    ids = torch.tensor([prompt + tokenizer.text_ids(reply)], device=model.device)
    run: Any = model
    logits = run(ids, logits_to_keep=ids.shape[1] - len(prompt) + 1).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, len(prompt) :]))
