"""Muon for the matrices, AdamW for everything else, with single-precision masters of half-precision weights.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) replaces the momentum of a matrix by the nearest
orthogonal one, found by Newton-Schulz iterations: every direction learns at one pace.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_EPSILON = 1e-7


class Stepped(NamedTuple):
    """Of one step: its learning rate, and the length of its gradient before it was clipped; infinite: not learned."""

    rate: float
    norm: float


class Optimiser:
    """Both methods over one model. Weights may be bfloat16: what is learned is summed up in float32.

    `rate` is Muon's learning rate, `plain_rate` AdamW's; both are multiplied by the schedule's factor at each step.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        *,
        rate: float,
        plain_rate: float,
        decay: float,
        clip: float | None = None,
        is_matrix: Callable[[str, Tensor], bool] | None = None,
    ) -> None:
        chosen = is_matrix or _is_hidden_matrix
        self._clip = clip
        self._rate, self._plain_rate, self._decay = rate, plain_rate, decay
        self._parameters = dict(parameters)
        self._masters = {name: weights.detach().float().clone() for name, weights in self._parameters.items()}
        self._matrices = [name for name, weights in self._parameters.items() if chosen(name, weights)]
        matrices = set(self._matrices)
        self._others = [name for name in self._parameters if name not in matrices]
        self._momentum = {name: torch.zeros_like(self._masters[name]) for name in self._parameters}
        self._variance = {name: torch.zeros_like(self._masters[name]) for name in self._others}
        self._steps = 0

    @classmethod
    def adam(cls, parameters: Mapping[str, nn.Parameter], *, rate: float, decay: float, clip: float) -> "Optimiser":
        """AdamW alone, for fine-tuning: `clip` is the longest gradient."""
        return cls(parameters, rate=rate, plain_rate=rate, decay=decay, clip=clip, is_matrix=lambda *_: False)

    @torch.no_grad()
    def step(self, factor: float, *, divisor: float = 1.0) -> Stepped:
        """Learn from the gradients and clear them; `factor` scales the learning rates.

        The gradients are `divisor` times too large. If one of them is no number, nothing is learned.
        """
        slopes = [weights.grad for weights in self._parameters.values() if weights.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(slopes)) / divisor
        if not math.isfinite(norm):
            self._forget()
            return Stepped(rate=self._rate * factor, norm=norm)
        too_long = norm / self._clip if self._clip is not None else 0.0
        shrunk = 1 / (divisor * max(1.0, too_long))
        if shrunk != 1:
            for slope in slopes:
                slope.mul_(shrunk)
        self._steps += 1
        for name in self._matrices:
            self._learn_matrix(name, factor)
        for name in self._others:
            self._learn_plain(name, factor)
        for name, weights in self._parameters.items():
            weights.copy_(self._masters[name])
        self._forget()
        return Stepped(rate=self._rate * factor, norm=norm)

    def _forget(self) -> None:
        for weights in self._parameters.values():
            weights.grad = None

    def state(self) -> dict[str, Any]:
        """All that a later `restore` needs to go on as if nothing had happened."""
        return {
            "masters": self._masters,
            "momentum": self._momentum,
            "variance": self._variance,
            "steps": self._steps,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; the model's weights follow."""
        for mine, theirs in (
            (self._masters, state["masters"]),
            (self._momentum, state["momentum"]),
            (self._variance, state["variance"]),
        ):
            for name, numbers in theirs.items():
                mine[name].copy_(numbers)
        self._steps = int(state["steps"])
        for name, weights in self._parameters.items():
            weights.copy_(self._masters[name])

    def _learn_matrix(self, name: str, factor: float) -> None:
        slope = self._slope(name)
        if slope is None:
            return
        momentum = self._momentum[name]
        inertia = 0.85 + 0.10 * min(1.0, self._steps / 300)
        momentum.lerp_(slope, 1 - inertia)
        ahead = slope.lerp(momentum, inertia)  # Nesterov's
        parts = 2 if "gate_up_proj" in name else 1  # two matrices in one
        dtype = self._parameters[name].dtype  # what this machine multiplies fastest
        direction = torch.cat([orthogonal(part.to(dtype)) * _scale(part) for part in ahead.chunk(parts)])
        master = self._masters[name]
        master.mul_(1 - self._rate * factor * self._decay).add_(direction, alpha=-self._rate * factor)

    def _learn_plain(self, name: str, factor: float) -> None:
        slope = self._slope(name)
        if slope is None:
            return
        first, second = 0.9, 0.95
        momentum, variance = self._momentum[name], self._variance[name]
        momentum.lerp_(slope, 1 - first)
        variance.lerp_(slope.square(), 1 - second)
        unbiased = (variance / (1 - second**self._steps)).sqrt_().add_(1e-10)
        rate = self._plain_rate * factor
        master = self._masters[name]
        if master.ndim > 1:
            master.mul_(1 - rate * self._decay)
        master.addcdiv_(momentum, unbiased, value=-rate / (1 - first**self._steps))

    def _slope(self, name: str) -> Tensor | None:
        slope = self._parameters[name].grad
        return None if slope is None else slope.float()


def orthogonal(matrix: Tensor) -> Tensor:
    """Roughly the nearest matrix whose singular values are all one, in float32 from whatever type it is computed in."""
    first, second, third = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if is_tall else matrix
    found = found / (found.float().norm() + _EPSILON).to(matrix.dtype)
    for _ in range(_ITERATIONS):
        gram = found @ found.T
        found = first * found + (second * gram + third * gram @ gram) @ found
    result: Tensor = found.T if is_tall else found
    return result.float()


def _scale(matrix: Tensor) -> float:
    return float(max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)


def _is_hidden_matrix(name: str, weights: Tensor) -> bool:
    return weights.ndim == 2 and "embed" not in name and "head" not in name  # noqa: PLR2004  # a matrix has two sides
