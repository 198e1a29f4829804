"""The reward model: one number for a whole reply, learned from comparisons.

Bradley and Terry's model as in Ouyang et al. 2022 (InstructGPT), equation 1: the chance that a reply is preferred is
the logistic function of the difference of both rewards. The number is read from the last hidden state of the end id.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from training import student
from training.comparisons import BatchPosition, Comparisons
from training.core.language import hidden_states
from training.core.loop import Say, run
from training.core.muon import Optimiser
from training.data.compared import read_all
from training.data.packing import Batch
from training.machine import settle
from training.recipe import RewardRecipe, TuningRecipe
from training.student import AnotherAdapter, Student
from training.trouble import TrainingTrouble
from worker.model.write import make_readable

HEAD = "reward_head.safetensors"


class RewardModel(nn.Module):
    """A student's body with one output, in float32: differences of rewards are small.

    `body` is another adapter over the student's weights, where those are what is judged with.
    """

    def __init__(self, pupil: Student, body: AnotherAdapter | None = None) -> None:
        super().__init__()
        self.pupil, self._body = pupil, body
        config: Any = pupil.model.config
        self.head: Any = nn.Linear(config.hidden_size, 1, bias=False, device=pupil.model.device)
        nn.init.zeros_(self.head.weight)

    def forward(self, batch: Batch) -> Tensor:
        """The reward of each row, [rows]; a row holds one window."""
        batch = batch.to(self.pupil.model.device)
        with self._body.model() if self._body else nullcontext(self.pupil.model) as model:
            hidden = hidden_states(model, batch)
        last = (batch.windows >= 0).sum(dim=1) - 1
        ends = hidden[torch.arange(len(last), device=hidden.device), last]
        found: Tensor = self.head(ends.float()).squeeze(1)
        return found

    @property
    def learned(self) -> dict[str, nn.Parameter]:
        """What learns: the head, and of the body what the student trains."""
        return {**self.pupil.parameters, "reward_head": self.head.weight}

    def save(self, target: Path) -> None:
        """Write body and head below `target`."""
        self.pupil.save(target)
        save_file({"weight": self.head.weight.detach().cpu().contiguous()}, target / HEAD)
        make_readable(target)


def load_reward(directory: Path, base: Path, recipe: TuningRecipe, *, device: torch.device) -> RewardModel:
    """A reward model for judging only; `base` is what its adapter was trained on. Raises `TrainingTrouble`."""
    head = _head(directory)
    adapter = directory / student.ADAPTER if is_adapter(directory) else None
    body = base if adapter else directory / student.MODEL
    plain = recipe.model_copy(update={"lora": None, "recomputed": False})
    pupil = student.load(body, plain, device=device, adapter=adapter)
    return _judging(RewardModel(pupil), head)


def load_reward_on(pupil: Student, directory: Path) -> RewardModel:
    """A reward model that is an adapter of what `pupil` began from, over the same weights. Raises `TrainingTrouble`."""
    head = _head(directory)
    return _judging(RewardModel(pupil, pupil.with_adapter(directory / student.ADAPTER)), head)


def is_adapter(directory: Path) -> bool:
    """Whether the reward model was trained with LoRA."""
    return (directory / student.ADAPTER).is_dir()


def _head(directory: Path) -> Tensor:
    if not (directory / HEAD).is_file():
        raise TrainingTrouble(f"{directory} holds no reward model ({HEAD} is not there).")
    return load_file(directory / HEAD)["weight"]


def _judging(model: RewardModel, head: Tensor) -> RewardModel:
    model.head.weight.data.copy_(head)
    return model.requires_grad_(requires_grad=False)


class Judging:
    """The task of the loop."""

    def __init__(self, model: RewardModel, learned: Comparisons, held_out: Comparisons) -> None:
        self._model, self._learned, self._held_out = model, learned, held_out

    def batches(self, position: tuple[int, ...]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        return self._learned.batches(BatchPosition(*position))

    def loss(self, batch: Batch) -> tuple[Tensor, float]:
        chosen, rejected = self._model(batch).chunk(2)
        return -logsigmoid(chosen - rejected).sum(), float(len(chosen))

    def size(self, batch: Batch) -> int:
        return int((batch.windows >= 0).sum())

    def measure(self) -> dict[str, float]:
        """Loss and accuracy on held-out comparisons."""
        return accuracy(self._model, self._held_out)

    def told(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """It has learned nothing of its own."""


@torch.no_grad()
def accuracy(model: RewardModel, comparisons: Comparisons) -> dict[str, float]:
    """How often the chosen reply has the greater reward, and the mean loss."""
    losses, hits = [], []
    for batch in comparisons.once():
        chosen, rejected = model(batch).chunk(2)
        losses.append(-logsigmoid(chosen - rejected))
        hits.append((chosen > rejected).float())
    return {"loss": float(torch.cat(losses).mean()), "accuracy": float(torch.cat(hits).mean())}


def train_reward(
    target: Path,
    *,
    model: Path,
    learned: Sequence[Path],
    held_out: Sequence[Path],
    recipe: RewardRecipe,
    is_resumed: bool,
    say: Say,
) -> dict[str, float]:
    """Train a reward model on files of comparisons into `target`. Raises `TrainingTrouble`."""
    pupil = student.load(model, recipe, device=settle(recipe))
    judge = RewardModel(pupil)
    sets = [
        Comparisons(
            read_all(files, say=say),
            pupil.encoder,
            rows=recipe.rows,
            length=recipe.length,
            pad_id=pupil.pad_id,
            seed=recipe.seed,
        )
        for files in (learned, held_out)
    ]
    learner = Optimiser.adam(judge.learned, rate=recipe.rate, decay=recipe.weight_decay, clip=recipe.clip)
    found = run(Judging(judge, *sets), learner, recipe, directory=target, is_resumed=is_resumed, say=say)
    judge.save(target)
    return found
