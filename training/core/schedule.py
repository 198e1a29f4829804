"""The learning rate's factor over a run: a short rise, a plateau, a fall to nothing (warm-up, stable, decay).

How far a run has come is the largest part used up of steps and time, so that a budget of hours ends well whatever the
machine's pace; a plateau can be prolonged by a later run, a cosine cannot.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may use; one of both is enough."""

    steps: int | None
    seconds: float | None

    def progress(self, *, step: int, seconds: float) -> float:
        """From 0 at the start to 1 where the run ends."""
        parts = [0.0]
        if self.steps is not None:
            parts.append(step / self.steps)
        if self.seconds is not None:
            parts.append(seconds / self.seconds)
        return min(1.0, max(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`warmup` is in steps, `decay` the part of the run over which the rate falls."""

    warmup: int
    decay: float

    def factor(self, *, step: int, progress: float) -> float:
        """What the learning rates are multiplied with at this step."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        fall = min(1.0, (1 - progress) / self.decay) if self.decay else 1.0
        return rise * fall
