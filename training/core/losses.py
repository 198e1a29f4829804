"""The loss of predicting ids from hidden states, a slice at a time: all logits at once would not fit any cache."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_SLICE = 512

Rows = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def rows_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted sum of the losses of [rows, vocabulary], and its derivative by the logits."""
    numbers = logits.float()
    chances = torch.softmax(numbers, dim=1)
    hit = torch.arange(logits.shape[1], device=logits.device)[None, :] == labels[:, None]
    own = torch.where(hit, numbers, 0.0).sum(dim=1)
    losses = (torch.logsumexp(numbers, dim=1) - own) * weights
    slope = (chances - hit.to(chances.dtype)) * weights[:, None]
    return losses.sum(), slope.to(logits.dtype)


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes the gradients on the way forward, while a slice's logits are at hand."""

    @staticmethod
    def forward(  # noqa: PLR0917  # autograd passes them by position
        ctx: Any, hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor, rows: Rows
    ) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        hidden_slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        head_slope = torch.zeros(head.shape, device=head.device) if ctx.needs_input_grad[1] else None
        for start in range(0, len(hidden), _SLICE):
            part = hidden[start : start + _SLICE]
            loss, slope = rows(part @ head.T, labels[start : start + _SLICE], weights[start : start + _SLICE])
            total += loss
            if hidden_slope is not None:
                hidden_slope[start : start + _SLICE] = slope @ head
            if head_slope is not None:  # a frozen output layer of ChatGLM2's size would take a gigabyte
                head_slope += slope.T @ part
        ctx.slopes = (hidden_slope, None if head_slope is None else head_slope.to(head.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        hidden, head = (None if slope is None else slope * slopes[0] for slope in ctx.slopes)
        return hidden, head, None, None, None


def linear_cross_entropy(
    hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor, rows: Rows = rows_loss
) -> Tensor:
    """The weighted sum of the losses (nats). `hidden` is [places, width], `head` [vocabulary, width].

    `rows` may be a compiled `rows_loss`.
    """
    return cast("Tensor", _LinearCrossEntropy.apply(hidden, head, labels, weights, rows))  # type: ignore[no-untyped-call]  # torch leaves it untyped


def log_probabilities(hidden: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    """The log-probability of each label; [places], differentiable, a slice's logits at a time."""
    parts = [
        checkpoint(_chosen, hidden[start : start + _SLICE], head, labels[start : start + _SLICE], use_reentrant=False)
        for start in range(0, len(hidden), _SLICE)
    ]
    return torch.cat(parts) if parts else hidden.new_zeros(0, dtype=torch.float32)


def _chosen(hidden: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    numbers = (hidden @ head.T).float()
    return numbers.gather(1, labels[:, None]).squeeze(1) - numbers.logsumexp(dim=1)
