"""The one loop of all phases: batches in, steps out, with checkpoints, a log, time left, and a budget it ends on."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import torch
from torch import Tensor

from training.core import checkpoint, curves
from training.core.muon import Stepped
from training.core.reports import Report, reports
from training.core.schedule import Budget, Schedule
from training.core.stopping import Stopped, asked_to_stop
from training.machine import choose_precision, give_back_memory
from training.recipe import Recipe, keep
from training.trouble import TrainingTrouble
from worker.model.hardware import choose_device

Say = Callable[[str], None]


class Learner(Protocol):
    """What is optimised; Muon's and AdamW's common face."""

    def step(self, factor: float, *, divisor: float = 1.0) -> Stepped:
        """Learn from the gradients, which are `divisor` times too large, and clear them."""

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


class Task(Protocol):
    """What a phase does with its batches. A position is a tuple of numbers from which `batches` goes on."""

    def batches(self, position: tuple[int, ...]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Batches without end, each with the position after it."""

    def loss(self, batch: Any) -> tuple[Tensor, float]:
        """The sum of the losses of a batch, and by what it must be divided."""

    def size(self, batch: Any) -> int:
        """Tokens, for the pace."""

    def measure(self) -> dict[str, float]:
        """Losses and whatever else tells how it goes on held-out data."""

    def told(self) -> dict[str, float]:
        """Numbers of its own since it was last asked, for the log."""

    def state(self) -> dict[str, Any]:
        """What the task itself has learned, beside the learner."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a run is divided. `accumulate` batches make one step; the others are in seconds and steps."""

    accumulate: int = 1
    log_steps: int = 10
    measure_seconds: float = 600.0
    save_seconds: float = 180.0


@dataclass(slots=True)
class _Progress:
    """Where a run stands; `seconds` counts all its legs."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    position: tuple[int, ...] = ()


@dataclass(slots=True)
class LossScale:
    """What losses are multiplied with, so that float16 holds their gradients; 1 and fixed for other types.

    Halved where a gradient is infinite, doubled after a while without (Micikevicius et al. 2018).
    """

    value: float = 1.0
    is_fixed: bool = True
    good_steps: int = 0

    @classmethod
    def of(cls, dtype: torch.dtype) -> "LossScale":
        """For weights of this type."""
        return cls(value=_FIRST_SCALE, is_fixed=False) if dtype == torch.float16 else cls()

    def stepped(self, norm: float) -> bool:
        """Take in the length of a step's gradient; False where no scale helps."""
        if not math.isfinite(norm):
            self.value, self.good_steps = self.value / 2, 0
            return not self.is_fixed and self.value >= 1
        self.good_steps += 1
        if not self.is_fixed and self.good_steps % _STEPS_TO_DOUBLE == 0:
            self.value *= 2
        return True


_FIRST_SCALE = 2.0**12
_STEPS_TO_DOUBLE = 500


def run(
    task: Task, learner: Learner, recipe: Recipe, *, directory: Path, is_resumed: bool, say: Say
) -> dict[str, float]:
    """Train as the recipe says, from the start or from the directory's newest state; returns the last measurement.

    Raises `TrainingTrouble`.
    """
    if not is_resumed and checkpoint.has_state(directory):
        raise TrainingTrouble(f"{directory} holds a run. Go on with it (--resume), or name another directory.")
    directory.mkdir(parents=True, exist_ok=True)
    keep(recipe, directory)
    loop = Loop(
        task,
        learner,
        directory=directory,
        budget=Budget(steps=recipe.steps, seconds=recipe.hours * 3600 if recipe.hours else None),
        schedule=Schedule(warmup=recipe.warmup, decay=recipe.decay),
        scale=LossScale.of(choose_precision(recipe, choose_device(recipe.device))),
        pace=Pace(
            accumulate=recipe.accumulate,
            log_steps=recipe.log_steps,
            measure_seconds=60 * recipe.measure_minutes,
            save_seconds=60 * recipe.save_minutes,
        ),
        say=say,
    )
    if is_resumed:
        loop.resume()
    with reports(recipe, directory, step=loop.step) as report:
        found = loop.run(report)
    curves.draw(directory)
    return found


class Loop:
    """Runs a task to the end of its budget in a directory; what is saved there can be taken up."""

    def __init__(
        self,
        task: Task,
        learner: Learner,
        *,
        directory: Path,
        budget: Budget,
        schedule: Schedule,
        pace: Pace,
        say: Say,
        scale: LossScale | None = None,
    ) -> None:
        self._task, self._learner = task, learner
        self._scale = scale or LossScale()
        self._report: Report = lambda _step, _numbers: None
        self._directory, self._budget, self._schedule, self._pace = directory, budget, schedule, pace
        self._say = say
        self._at = _Progress()
        self._losses: list[float] = []
        self._stepped: list[Stepped] = []
        self._saved_step: int | None = None
        self._best = math.inf

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return self._at.step

    def resume(self) -> None:
        """Go on where the directory's newest state was saved. Raises `TrainingTrouble`."""
        state = checkpoint.load(self._directory)
        self._learner.restore(state["learner"])
        self._task.restore(state.get("task", {}))
        torch.set_rng_state(state["random"])
        if cuda := state.get("random_cuda"):
            torch.cuda.set_rng_state_all(cuda)
        self._saved_step = state["step"]
        self._best = state.get("best", math.inf)
        self._scale.value = state.get("scale", self._scale.value)
        self._at = _Progress(state["step"], state["tokens"], state["seconds"], tuple(state["position"]))

    def run(self, report: Report | None = None) -> dict[str, float]:
        """Train to the end of the budget; returns the last measurement. Raises `Stopped`, with the state saved."""
        self._report = report or self._report
        with asked_to_stop() as asked:
            self._run(asked)
        self.save()
        return self._measure()

    def _run(self, asked: Event) -> None:
        batches = self._task.batches(self._at.position)
        began, before = time.monotonic(), self._at.seconds
        saved = measured = began
        while (progress := self._progress()) < 1:
            self._step(batches, progress)
            now = time.monotonic()
            self._at.seconds = before + now - began
            if self._at.step % self._pace.log_steps == 0:
                self._log(progress)
            if now - saved >= self._pace.save_seconds:
                self.save()
                saved = now
            if now - measured >= self._pace.measure_seconds:
                self._measure()
                measured = now
            if asked.is_set():
                self.save()
                raise Stopped

    def save(self) -> None:
        """Write the state that `resume` reads. Raises `TrainingTrouble`, and writes nothing, if it holds no numbers."""
        self._write(checkpoint.STATE)
        self._saved_step = self._at.step

    def _write(self, name: str) -> None:
        learned = self._learner.state()
        if broken := checkpoint.without_numbers(learned):
            raise TrainingTrouble(self._diverged(f"{broken} holds values that are no numbers"))
        state = {
            "learner": learned,
            "task": self._task.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "best": self._best,
            "scale": self._scale.value,
            "step": self._at.step,
            "tokens": self._at.tokens,
            "seconds": self._at.seconds,
            "position": tuple(self._at.position),  # a plain one, for what reads it knows no classes
        }
        checkpoint.save(self._directory, state, name=name)
        give_back_memory()

    def _diverged(self, what: str) -> str:
        if self._saved_step is None:
            return f"Step {self._at.step}: {what}. Nothing was saved before it. Try a lower rate or a longer warm-up."
        return (
            f"Step {self._at.step}: {what}. {self._directory / checkpoint.STATE} holds the run as of step "
            f"{self._saved_step}. Start anew with a lower rate, or go on from there (--resume)."
        )

    def _progress(self) -> float:
        return self._budget.progress(step=self._at.step, seconds=self._at.seconds)

    def _step(self, batches: Iterator[tuple[Any, tuple[int, ...]]], progress: float) -> None:
        """One step over `accumulate` batches; each token of them counts the same, however they are divided."""
        chosen = [next(batches) for _ in range(self._pace.accumulate)]
        sum_, total, expected = 0.0, 0.0, 0.0
        for batch, _ in chosen:
            loss, divisor = self._task.loss(batch)
            expected = expected or max(1.0, divisor) * self._pace.accumulate
            (loss * (self._scale.value / expected)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            sum_ += float(loss.detach())
            total += divisor
            self._at.tokens += self._task.size(batch)
        mean = sum_ / max(1.0, total)
        if not math.isfinite(mean):
            raise TrainingTrouble(self._diverged(f"the loss is {mean}"))
        factor = self._schedule.factor(step=self._at.step, progress=progress)
        stepped = self._learner.step(factor, divisor=self._scale.value * max(1.0, total) / expected)
        if not self._scale.stepped(stepped.norm):
            raise TrainingTrouble(self._diverged(f"the gradient's length is {stepped.norm}"))
        self._losses.append(mean)
        self._stepped.append(stepped)
        self._at.step += 1
        self._at.position = chosen[-1][1]

    def _log(self, progress: float) -> None:
        loss = sum(self._losses) / len(self._losses)
        norm = sum(stepped.norm for stepped in self._stepped) / len(self._stepped)
        numbers = {"loss": loss, "rate": self._stepped[-1].rate, "gradient_norm": norm, **self._task.told()}
        self._losses.clear()
        self._stepped.clear()
        at = self._at
        left = at.seconds / progress - at.seconds if progress else 0.0
        rounded = {name: float(f"{value:.4g}") for name, value in numbers.items()} | {"loss": round(loss, 4)}
        checkpoint.log(
            self._directory, {"step": at.step, "tokens": at.tokens, "seconds": round(at.seconds, 1), **rounded}
        )
        self._report(at.step, {f"train/{name}": value for name, value in numbers.items()})
        pace = at.tokens / at.seconds if at.seconds else 0.0
        self._say(
            f"step {at.step}  {at.tokens / 1e6:.2f} M tokens  loss {loss:.3f}  {pace:.0f} tokens/s  "
            f"{progress:.0%}, {left / 60:.0f} min left"
        )

    def _keep_best(self, found: Mapping[str, float]) -> None:
        """Beside the newest state, that with the lowest held-out loss."""
        loss = found.get("supporter", found.get("loss", math.inf))
        if loss < self._best:
            self._best = loss
            self._write(checkpoint.BEST)

    def _measure(self) -> dict[str, float]:
        found = self._task.measure()
        at = self._at
        numbers = {name: round(value, 4) for name, value in found.items()}
        checkpoint.log(
            self._directory,
            {"step": at.step, "tokens": at.tokens, "seconds": round(at.seconds, 1), "held_out": numbers},
        )
        self._report(at.step, {f"held_out/{name}": value for name, value in found.items()})
        self._keep_best(found)
        told = "  ".join(f"{name} {value:.4f}" for name, value in numbers.items())
        self._say(f"held out: {told}")
        return found
