"""Proximal policy optimisation on a reward model (Schulman et al. 2017; for language Ouyang et al. 2022).

An iteration draws replies (the old policy), judges them, estimates advantages, and learns from them for some epochs.
The policy is the actor; a value head on its hidden states is the critic; the reference is the student before it
learned anything: its adapter switched off, or a frozen copy. The KL divergence from it is kept near a target.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training import reward, student
from training.comparisons import one_to_a_row
from training.core.language import hidden_states, reply_log_probabilities
from training.core.loop import Say, run
from training.core.muon import Optimiser
from training.core.policy_gradient import (
    Leash,
    advantages,
    clipped_objective,
    clipped_value_loss,
    shaped_rewards,
    whitened,
)
from training.data import corpus
from training.data.dialogue import Dialogue
from training.data.encoding import Part
from training.data.packing import Batch
from training.machine import settle
from training.recipe import PpoRecipe
from training.rollouts import Drawn, draw, prompts
from training.student import Student

Judge = Callable[[Sequence[Drawn]], Tensor]
"""The score of each reply, [replies]."""

Asking = Callable[[torch.Generator, int], list[list[int]]]
"""Chance and a count to so many prompts."""

_VALUE_RANGE = 0.2
_LEAST_SPREAD = 0.1
_MEASURED_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """Drawn replies with all that was known when they were drawn. Tensors are [replies, places] but for `scores`."""

    batch: Batch
    mask: Tensor
    log_probabilities: Tensor
    values: Tensor
    gains: Tensor
    returns: Tensor

    def some(self, rows: Tensor) -> "Experience":
        """A minibatch."""
        batch = self.batch
        return Experience(
            batch=Batch(
                ids=batch.ids[rows], windows=batch.windows[rows], labels=batch.labels[rows], parts=batch.parts[rows]
            ),
            mask=self.mask[rows],
            log_probabilities=self.log_probabilities[rows],
            values=self.values[rows],
            gains=self.gains[rows],
            returns=self.returns[rows],
        )


class Pleasing:
    """The task of the loop. A position is the number of the iteration; one that was broken off is drawn anew."""

    def __init__(
        self,
        pupil: Student,
        *,
        judge: Judge,
        asking: Asking,
        measured: Asking,
        stop_ids: Sequence[int],
        recipe: PpoRecipe,
    ) -> None:
        self._pupil, self._judge, self._asking, self._recipe = pupil, judge, asking, recipe
        self._measured = measured(torch.Generator().manual_seed(_MEASURED_SEED), recipe.measured)
        self._stop_ids = stop_ids
        self._reference = pupil.reference()
        config: Any = pupil.model.config
        self.value_head = nn.Linear(config.hidden_size, 1, device=pupil.model.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self._leash = Leash(recipe.kl_weight, recipe.kl_target)
        self._usual: list[float] | None = None  # mean and spread of the scores before anything was learned
        self._iteration: dict[str, float] = {}
        self._clipped: list[float] = []

    @property
    def learned(self) -> dict[str, nn.Parameter]:
        """Actor and critic."""
        head = {f"value_head.{name}": weights for name, weights in self.value_head.named_parameters()}
        return {**self._pupil.parameters, **head}

    def batches(self, position: tuple[int, ...]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        (iteration,) = position or (0,)
        recipe = self._recipe
        while True:
            generator = torch.Generator().manual_seed(recipe.seed + iteration)
            experience = self._experience(self._draw(self._asking(generator, recipe.rollouts)))
            count = len(experience.mask)
            chosen = [
                rows
                for _ in range(recipe.epochs)
                for rows in _minibatches(torch.randperm(count, generator=generator), recipe.rows)
            ]
            for rows in chosen[:-1]:
                yield experience.some(rows), (iteration,)
            iteration += 1
            yield experience.some(chosen[-1]), (iteration,)

    def loss(self, batch: Experience) -> tuple[Tensor, float]:
        recipe = self._recipe
        log_probabilities, values = self._actor_and_critic(batch.batch)
        log_ratios = log_probabilities - batch.log_probabilities
        actor = clipped_objective(log_ratios, batch.gains, batch.mask, clip_range=recipe.clip_range)
        self._clipped.append(_clip_share(log_ratios.detach(), batch.mask, recipe.clip_range))
        critic = clipped_value_loss(values, batch.values, batch.returns, batch.mask, clip_range=_VALUE_RANGE)
        return actor + recipe.value_weight * critic, 1.0

    def size(self, batch: Experience) -> int:
        return int(batch.mask.sum())

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """On prompts of their own, with chance of its own: mean score, divergence, length, share of ended replies."""
        with torch.random.fork_rng():
            torch.manual_seed(_MEASURED_SEED)
            drawn = self._draw(self._measured)
        batch = one_to_a_row([one.encoded for one in drawn], pad_id=self._pupil.pad_id)
        policy, _ = self._actor_and_critic(batch)
        log_ratios = policy - self._before(batch)
        return {
            "reward": float(self._judge(drawn).mean()),
            "kl": float(log_ratios.sum(dim=1).mean()),
            "tokens": sum(len(one.reply) for one in drawn) / len(drawn),
            "finished": sum(one.is_finished for one in drawn) / len(drawn),
        }

    def told(self) -> dict[str, float]:
        """Of the newest iteration, and the share of places whose ratio was clipped."""
        clipped = self._clipped or [0.0]
        self._clipped = []
        return {**self._iteration, "clip_share": sum(clipped) / len(clipped)}

    def state(self) -> dict[str, Any]:
        return {"beta": self._leash.beta, "usual": self._usual}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._leash.beta = state["beta"]
        self._usual = state["usual"]

    def _normal(self, scores: Tensor) -> Tensor:
        """Scores relative to the first iteration's, as Ouyang et al. do.

        The critic begins at zero. If all scores were far below, ending a reply would look like a loss by itself.
        """
        if self._usual is None:
            self._usual = [float(scores.mean()), float(scores.std(unbiased=False)) + _LEAST_SPREAD]
        mean, spread = self._usual
        return (scores - mean) / spread

    def _draw(self, asked: Sequence[Sequence[int]]) -> list[Drawn]:
        return draw(
            self._pupil.model,
            asked,
            reply_tokens=self._recipe.reply_tokens,
            stop_ids=self._stop_ids,
        )

    @torch.no_grad()
    def _experience(self, drawn: Sequence[Drawn]) -> Experience:
        recipe = self._recipe
        batch = one_to_a_row([one.encoded for one in drawn], pad_id=self._pupil.pad_id).to(self._pupil.model.device)
        mask = self._mask(batch)
        log_probabilities, values = self._actor_and_critic(batch)
        log_ratios = log_probabilities - self._before(batch)
        ended = torch.tensor([one.is_finished for one in drawn], device=mask.device)
        judged = self._judge(drawn)
        divergence = float(log_ratios.sum(dim=1).mean())
        self._iteration = {"reward": float(judged.mean()), "kl": divergence, "beta": self._leash.beta}
        scores = self._normal(judged) - recipe.unfinished_penalty * ~ended
        rewards = shaped_rewards(scores, log_ratios, mask, beta=self._leash.beta)
        gains, returns = advantages(rewards, values, mask, discount=recipe.discount, smoothing=recipe.smoothing)
        self._leash.pull(divergence)
        return Experience(
            batch=batch,
            mask=mask,
            log_probabilities=log_probabilities,
            values=values,
            gains=whitened(gains, mask),
            returns=returns,
        )

    def _actor_and_critic(self, batch: Batch) -> tuple[Tensor, Tensor]:
        batch = batch.to(self._pupil.model.device)
        hidden = hidden_states(self._pupil.model, batch)
        values: Tensor = self.value_head(hidden.float()).squeeze(2)
        return reply_log_probabilities(self._pupil.model, batch, hidden), values * self._mask(batch)

    def _before(self, batch: Batch) -> Tensor:
        batch = batch.to(self._pupil.model.device)
        with self._reference.model() as reference:
            return reply_log_probabilities(reference, batch, hidden_states(reference, batch))

    @staticmethod
    def _mask(batch: Batch) -> Tensor:
        return (batch.parts == Part.REPLY).float()


def train_ppo(
    target: Path, *, model: Path, reward_model: Path, data: Path, recipe: PpoRecipe, is_resumed: bool, say: Say
) -> dict[str, dict[str, float]]:
    """Train the model in `model` into `target`; returns the measurements before and after. Raises `TrainingTrouble`."""
    device = settle(recipe)
    random.seed(recipe.seed)
    pupil = student.load(model, recipe, device=device)
    judge = RewardJudge(_reward_model(reward_model, model, pupil, recipe, device=device), pupil, rows=recipe.rows)
    dialogues = corpus.load(data)
    task = Pleasing(
        pupil,
        judge=judge,
        asking=_asking(dialogues.train, pupil, recipe),
        measured=_asking(dialogues.held_out, pupil, recipe),
        stop_ids=pupil.stop_ids,
        recipe=recipe,
    )
    before = {} if is_resumed else task.measure()
    if before:
        told = "  ".join(f"{name} {value:.4f}" for name, value in before.items())
        say(f"before: {told}")
    learner = Optimiser.adam(task.learned, rate=recipe.rate, decay=recipe.weight_decay, clip=recipe.clip)
    after = run(task, learner, recipe, directory=target, is_resumed=is_resumed, say=say)
    pupil.save(target)
    return {"before": before, "after": after}


def _reward_model(
    directory: Path, base: Path, pupil: Student, recipe: PpoRecipe, *, device: torch.device
) -> reward.RewardModel:
    """Over the policy's own weights where both are adapters of them."""
    if pupil.has_adapter and reward.is_adapter(directory):
        return reward.load_reward_on(pupil, directory)
    return reward.load_reward(directory, base, recipe, device=device)


class RewardJudge:
    """A reward model that reads replies as they were drawn, a few at a time; how a reply ended is not judged."""

    def __init__(self, model: reward.RewardModel, pupil: Student, *, rows: int) -> None:
        self._model, self._rows = model, rows
        self._pad_id, self._end_id = pupil.pad_id, pupil.encoder.end_id
        self._stop_ids = frozenset(pupil.stop_ids)

    @torch.no_grad()
    def __call__(self, drawn: Sequence[Drawn]) -> Tensor:
        ended = [self._ended(one).encoded for one in drawn]
        parts = [ended[start : start + self._rows] for start in range(0, len(ended), self._rows)]
        return torch.cat([self._model(one_to_a_row(part, pad_id=self._pad_id)) for part in parts])

    def _ended(self, drawn: Drawn) -> Drawn:
        """With the end that the reward model was trained on."""
        said = [id_ for id_ in drawn.reply if id_ not in self._stop_ids]
        return drawn._replace(reply=[*said, self._end_id])


def _clip_share(log_ratios: Tensor, mask: Tensor, clip_range: float) -> float:
    outside = ((log_ratios.exp() - 1).abs() > clip_range) * mask
    return float(outside.sum() / mask.sum().clamp(min=1))


def _minibatches(order: Tensor, rows: int) -> tuple[Tensor, ...]:
    return torch.split(order, rows)


def _asking(dialogues: Sequence[Dialogue], pupil: Student, recipe: PpoRecipe) -> Asking:
    def ask(generator: torch.Generator, count: int) -> list[list[int]]:
        room = recipe.length - recipe.reply_tokens
        return prompts(dialogues, pupil.encoder, generator, count=count, length=room)

    return ask
