"""Pretraining: a small language model learns Chinese and the form of a counselling dialogue, from both sides' words."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from training import release
from training.core.language import Language
from training.core.loop import Say, run
from training.core.muon import Optimiser
from training.core.shape import Shape, build
from training.data import corpus, windows
from training.data.encoding import Encoder
from training.data.packing import Weights, fill
from training.machine import choose_precision, settle
from training.reading import Reading
from training.recipe import PretrainRecipe
from training.vocabulary import END, NEXT_ROUND, PAD
from worker.tokenizer import Tokenizer, load_tokenizer


def pretrain(
    target: Path,
    *,
    data: Path,
    tokenizer: Path,
    recipe: PretrainRecipe,
    source: Path | None,
    is_resumed: bool,
    say: Say,
) -> dict[str, float]:
    """Train into `target`, from fresh weights or from those in `source`. Raises `TrainingTrouble`.

    A resumed run goes on as if it had never been interrupted.
    """
    device = settle(recipe)
    dictionary = load_tokenizer(tokenizer, has_prefix=True)
    encoder = Encoder(tokenizer=dictionary, instruction=recipe.instruction, end_id=release.id_of(dictionary, END))
    model = _model(recipe, dictionary, source, device)
    cast("Any", model).to(choose_precision(recipe, device))
    weights = Weights(frame=0.0, client=recipe.client_weight, reply=1.0)
    task = Reading(
        Language(model, weights=weights, is_compiled=recipe.compiled),
        encoder,
        corpus.load(data),
        recipe,
        cut=partial(windows.strides, instruction=recipe.instruction),
        pad_id=release.id_of(dictionary, PAD),
        arrange=fill,
    )
    learner = Optimiser(
        dict(model.named_parameters()), rate=recipe.rate, plain_rate=recipe.plain_rate, decay=recipe.weight_decay
    )
    found = run(task, learner, recipe, directory=target, is_resumed=is_resumed, say=say)
    release.write(model, tokenizer, target / "model")
    return found


def _model(recipe: PretrainRecipe, tokenizer: Tokenizer, source: Path | None, device: torch.device) -> PreTrainedModel:
    if source is not None:
        return release.read(source, dtype=torch.float32, device=device)
    model = build(
        Shape(
            width=recipe.width,
            layers=recipe.layers,
            heads=recipe.heads,
            groups=recipe.groups,
            head_width=recipe.head_width,
            feed_forward=recipe.feed_forward,
            context=recipe.context,
        ),
        vocabulary=tokenizer.size,
        end_ids=[release.id_of(tokenizer, END), release.id_of(tokenizer, NEXT_ROUND)],
        pad_id=release.id_of(tokenizer, PAD),
        seed=recipe.seed,
    )
    cast("Any", model).to(device)
    return model
