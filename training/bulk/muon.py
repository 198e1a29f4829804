"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for the matrices, AdamW for everything else.

All matrices of one shape are orthogonalised at once: on a GPU hundreds of launches fewer than one by one.
"""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_EPSILON = 1e-7
_INERTIA, _FIRST, _SECOND = 0.95, 0.9, 0.95


class Optimiser:
    """Both methods over one model in float32. `rate` is Muon's learning rate, `plain_rate` AdamW's."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, rate: float, plain_rate: float, decay: float) -> None:
        self._rate, self._plain_rate, self._decay = rate, plain_rate, decay
        groups: dict[tuple[bool, torch.Size], list[nn.Parameter]] = defaultdict(list)
        self._plain: list[nn.Parameter] = []
        for name, weights in parameters.items():
            if weights.ndim == 1 or "embed" in name:
                self._plain.append(weights)
            else:
                groups[("gate_up_proj" in name, weights.shape)].append(weights)
        self._groups = [(2 if is_double else 1, weights) for (is_double, _), weights in groups.items()]
        self._momenta = [torch.stack([torch.zeros_like(one) for one in weights]) for _, weights in self._groups]
        self._means = [torch.zeros_like(weights) for weights in self._plain]
        self._squares = [torch.zeros_like(weights) for weights in self._plain]
        self._steps = 0

    @torch.no_grad()
    def step(self, factor: float) -> Tensor:
        """Learn from the gradients and clear them; the gradients' length comes back."""
        self._steps += 1
        every = [weights for _, group in self._groups for weights in group] + self._plain
        length = torch.nn.utils.clip_grad_norm_(every, 1.0)
        for (parts, weights), momentum in zip(self._groups, self._momenta, strict=True):
            self._learn(weights, parts, momentum, self._rate * factor)
        self._learn_plain(self._plain_rate * factor)
        for one in every:
            one.grad = None
        return length

    def _learn(self, weights: list[nn.Parameter], parts: int, momentum: Tensor, rate: float) -> None:
        slope = torch.stack([_slope(one) for one in weights])
        inertia = min(_INERTIA, 0.85 + 0.10 * self._steps / 300)
        momentum.lerp_(slope, 1 - inertia)
        ahead = slope.lerp(momentum, inertia)  # Nesterov's
        rows = ahead.shape[1] // parts
        split = ahead.reshape(-1, rows, ahead.shape[2])
        direction = orthogonal(split) * max(1.0, rows / ahead.shape[2]) ** 0.5
        learned: list[Tensor] = list(weights)
        torch._foreach_mul_(learned, 1 - rate * self._decay)  # torch's own optimisers use it
        torch._foreach_add_(learned, list(direction.view(ahead.shape).unbind()), alpha=-rate)

    def _learn_plain(self, rate: float) -> None:
        for weights, mean, square in zip(self._plain, self._means, self._squares, strict=True):
            slope = _slope(weights)
            mean.lerp_(slope, 1 - _FIRST)
            square.lerp_(slope.square(), 1 - _SECOND)
            size = (square / (1 - _SECOND**self._steps)).sqrt_().add_(1e-10)
            if weights.ndim > 1:
                weights.mul_(1 - rate * self._decay)
            weights.addcdiv_(mean, size, value=-rate / (1 - _FIRST**self._steps))


def orthogonal(matrices: Tensor) -> Tensor:
    """Roughly the nearest matrices whose singular values are all one; [count, rows, columns]."""
    first, second, third = _COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    found = (matrices.mT if is_tall else matrices).to(torch.bfloat16)
    found = found / (found.float().norm(dim=(1, 2), keepdim=True) + _EPSILON).to(found.dtype)
    for _ in range(_ITERATIONS):
        gram = found @ found.mT
        found = first * found + (second * gram + third * gram @ gram) @ found
    result: Tensor = found.mT if is_tall else found
    return result.float()


def _slope(weights: nn.Parameter) -> Tensor:
    return torch.zeros_like(weights) if weights.grad is None else weights.grad
