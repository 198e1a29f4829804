"""The arithmetic of proximal policy optimisation, apart from any model. Shapes are [replies, places] unless said.

Places are those at which an id of the reply was drawn; `mask` is 1 there and 0 elsewhere.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_LARGEST_ERROR = 0.2
_GAIN = 0.5  # Ziegler et al. take 0.1; runs are short here


def shaped_rewards(scores: Tensor, log_ratios: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    """The reward of each place: the penalty for leaving the reference everywhere, the reply's score at its end.

    Ziegler et al. 2019, equation 2: R = r - beta * log(pi / rho). `scores` is [replies].
    """
    rewards = -beta * log_ratios * mask
    ends = mask.cumsum(dim=1).argmax(dim=1)
    rewards[torch.arange(len(rewards)), ends] += scores
    return rewards


def advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, discount: float, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16), and the returns to learn values from.

    `discount` is gamma, `smoothing` lambda. delta_t = r_t + gamma V_{t+1} - V_t; A_t = delta_t + gamma lambda A_{t+1}.
    After the last place of a reply there is nothing: V = A = 0.
    """
    found = torch.zeros_like(rewards)
    ahead = torch.zeros(len(rewards), device=rewards.device)
    value_ahead = torch.zeros_like(ahead)
    for place in reversed(range(rewards.shape[1])):
        own = mask[:, place]
        delta = rewards[:, place] + discount * value_ahead - values[:, place]
        ahead = torch.where(own > 0, delta + discount * smoothing * ahead, ahead)
        value_ahead = torch.where(own > 0, values[:, place], value_ahead)
        found[:, place] = ahead * own
    return found, (found + values) * mask


def whitened(numbers: Tensor, mask: Tensor) -> Tensor:
    """Zero mean and unit variance over all places."""
    chosen = numbers[mask > 0]
    return (numbers - chosen.mean()) / (chosen.std(unbiased=False) + 1e-8) * mask


def clipped_objective(log_ratios: Tensor, gains: Tensor, mask: Tensor, *, clip_range: float) -> Tensor:
    """The negative of Schulman et al. 2017, equation 7: E min(r A, clip(r, 1 - eps, 1 + eps) A).

    `log_ratios` are of the policy to the one that drew the replies; `gains` are the advantages.
    """
    ratios = log_ratios.exp()
    bounded = ratios.clamp(1 - clip_range, 1 + clip_range)
    return -(torch.minimum(ratios * gains, bounded * gains) * mask).sum() / mask.sum()


def clipped_value_loss(values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, *, clip_range: float) -> Tensor:
    """Half the squared error of the values, which may not leave their old ones by more than `clip_range` at once."""
    bounded = old + (values - old).clamp(-clip_range, clip_range)
    errors = torch.maximum((values - returns).square(), (bounded - returns).square())
    return 0.5 * (errors * mask).sum() / mask.sum()


@dataclass(slots=True)
class Leash:
    """Beta, steered so that the KL divergence of a reply stays near `target` (Ziegler et al. 2019, section 2.2).

    `target` is in nats per reply; without one beta stays.
    """

    beta: float
    target: float | None

    def pull(self, divergence: float) -> None:
        """Answer the divergence of the last iteration."""
        if self.target is not None:
            error = max(-_LARGEST_ERROR, min(_LARGEST_ERROR, divergence / self.target - 1))
            self.beta *= 1 + _GAIN * error
