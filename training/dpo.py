"""Direct preference optimisation (Rafailov et al. 2023): comparisons without a reward model and without sampling.

Equation 7: the logistic loss of beta times the difference of both replies' log-ratios between policy and reference.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PreTrainedModel

from training import student
from training.comparisons import BatchPosition, Comparisons
from training.core.language import hidden_states, reply_log_probabilities
from training.core.loop import Say, run
from training.core.muon import Optimiser
from training.data.compared import read_all
from training.data.packing import Batch
from training.machine import settle
from training.recipe import DpoRecipe
from training.student import Student


class Preferring:
    """The task of the loop."""

    def __init__(self, pupil: Student, learned: Comparisons, held_out: Comparisons, *, beta: float) -> None:
        self._pupil, self._learned, self._held_out, self._beta = pupil, learned, held_out, beta
        self._reference = pupil.reference()

    def batches(self, position: tuple[int, ...]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        return self._learned.batches(BatchPosition(*position))

    def loss(self, batch: Batch) -> tuple[Tensor, float]:
        margin = self._margin(batch)
        return -logsigmoid(margin).sum(), float(len(margin))

    def size(self, batch: Batch) -> int:
        return int((batch.windows >= 0).sum())

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Loss, and how often the chosen reply has gained more than the rejected one."""
        margin = torch.cat([self._margin(batch) for batch in self._held_out.once()])
        return {"loss": float(-logsigmoid(margin).mean()), "accuracy": float((margin > 0).float().mean())}

    def told(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """It has learned nothing of its own."""

    def _margin(self, batch: Batch) -> Tensor:
        """Beta times the difference of the log-ratios, [comparisons]."""
        batch = batch.to(self._pupil.model.device)
        with self._reference.model() as reference, torch.no_grad():
            before = _sums(reference, batch)
        chosen, rejected = (_sums(self._pupil.model, batch) - before).chunk(2)
        return self._beta * (chosen - rejected)


def _sums(model: PreTrainedModel, batch: Batch) -> Tensor:
    return reply_log_probabilities(model, batch, hidden_states(model, batch)).sum(dim=1)


def train_dpo(
    target: Path,
    *,
    model: Path,
    learned: Sequence[Path],
    held_out: Sequence[Path],
    recipe: DpoRecipe,
    is_resumed: bool,
    say: Say,
) -> dict[str, float]:
    """Train on files of comparisons into `target`. Raises `TrainingTrouble`."""
    pupil = student.load(model, recipe, device=settle(recipe))
    sets = [
        Comparisons(
            [
                one for one in read_all(files, say=say) if one.rejected_after is None
            ],  # equation 7 needs one prompt for both
            pupil.encoder,
            rows=recipe.rows,
            length=recipe.length,
            pad_id=pupil.pad_id,
            seed=recipe.seed,
        )
        for files in (learned, held_out)
    ]
    learner = Optimiser.adam(pupil.parameters, rate=recipe.rate, decay=recipe.weight_decay, clip=recipe.clip)
    found = run(
        Preferring(pupil, *sets, beta=recipe.beta),
        learner,
        recipe,
        directory=target,
        is_resumed=is_resumed,
        say=say,
    )
    pupil.save(target)
    return found
