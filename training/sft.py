"""Supervised fine-tuning: learn the supporter's words after exactly what the worker will show."""

from pathlib import Path

from training import student
from training.core.language import Language
from training.core.loop import Say, run
from training.core.muon import Optimiser
from training.data import corpus
from training.data.packing import REPLIES
from training.machine import settle
from training.reading import Reading
from training.recipe import SftRecipe


def tune(target: Path, *, model: Path, data: Path, recipe: SftRecipe, is_resumed: bool, say: Say) -> dict[str, float]:
    """Train the model in `model` into `target`. Raises `TrainingTrouble`."""
    pupil = student.load(model, recipe, device=settle(recipe))
    task = Reading(
        Language(pupil.model, weights=REPLIES, is_compiled=recipe.compiled),
        pupil.encoder,
        corpus.load(data),
        recipe,
        cut=pupil.encoder.cut,
        pad_id=pupil.pad_id,
    )
    learner = Optimiser.adam(pupil.parameters, rate=recipe.rate, decay=recipe.weight_decay, clip=recipe.clip)
    found = run(task, learner, recipe, directory=target, is_resumed=is_resumed, say=say)
    pupil.save(target)
    return found
