"""The loss of a model on held-out dialogues, comparable between tokenizers."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from training import student
from training.core.language import Language
from training.data import stream
from training.data.dialogue import Dialogue
from training.data.packing import BOTH_SIDES
from training.reading import per_character
from training.recipe import TuningRecipe


def losses(
    model: Path, adapter: Path | None, dialogues: Sequence[Dialogue], recipe: TuningRecipe, *, device: torch.device
) -> dict[str, float]:
    """Nats per character of supporters' and of all words, and the perplexity of a supporter's character."""
    pupil = student.load(model, recipe, device=device, adapter=adapter)
    language = Language(pupil.model, weights=BOTH_SIDES)
    batches = stream.in_order(
        dialogues, pupil.encoder, pupil.encoder.cut, rows=recipe.rows, length=_LENGTH, pad_id=pupil.pad_id
    )
    found = per_character(language, dialogues, batches)
    return {**found, "perplexity": math.exp(found["supporter"])}


_LENGTH = 1024
