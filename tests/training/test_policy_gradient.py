"""PPO where the right answer is known."""

import math

import torch
from torch import nn

from training.core.policy_gradient import (
    Leash,
    advantages,
    clipped_objective,
    shaped_rewards,
    whitened,
)

_IDS, _PLACES, _GOOD = 4, 6, 2


def test_the_policy_finds_the_optimum_of_a_reward_that_has_one() -> None:
    """With a penalty beta on the KL divergence the best policy is the reference times exp(reward / beta)."""
    torch.manual_seed(0)
    beta = 0.8
    scores = nn.Parameter(torch.zeros(_IDS))  # the reference draws each id alike
    optimiser = torch.optim.Adam([scores], lr=0.02)
    mask = torch.ones(256, _PLACES)
    for _ in range(60):
        with torch.no_grad():
            old = torch.log_softmax(scores, dim=0)
            drawn = torch.multinomial(old.exp(), 256 * _PLACES, replacement=True).view(256, _PLACES)
            before = old[drawn]
            good = (drawn == _GOOD).float()
            rewards = shaped_rewards(torch.zeros(256), before + math.log(_IDS), mask, beta=beta) + good
            gains, _ = advantages(rewards, torch.zeros_like(rewards), mask, discount=0.0, smoothing=0.0)
            gains = whitened(gains, mask)
        for _ in range(3):
            now = torch.log_softmax(scores, dim=0)[drawn]
            loss = clipped_objective(now - before, gains, mask, clip_range=0.2)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
    best = math.exp(1 / beta) / (math.exp(1 / beta) + _IDS - 1)
    assert abs(torch.softmax(scores, dim=0)[_GOOD].item() - best) < 0.05


def test_advantages_are_the_discounted_sums_of_what_was_not_expected() -> None:
    rewards = torch.tensor([[0.0, 0.0, 1.0, 9.0]])
    values = torch.tensor([[0.5, 0.4, 0.3, 9.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    gains, returns = advantages(rewards, values, mask, discount=0.9, smoothing=0.8)
    last = 1.0 - 0.3
    second = 0.9 * 0.3 - 0.4 + 0.72 * last
    first = 0.9 * 0.4 - 0.5 + 0.72 * second
    torch.testing.assert_close(gains, torch.tensor([[first, second, last, 0.0]]))
    torch.testing.assert_close(returns, torch.tensor([[first + 0.5, second + 0.4, last + 0.3, 0.0]]))


def test_the_score_stands_at_the_last_place_of_each_reply() -> None:
    mask = torch.tensor([[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]])
    found = shaped_rewards(torch.tensor([2.0, 3.0]), torch.zeros(2, 4), mask, beta=0.1)
    assert found.tolist() == [[0, 0, 2, 0], [0, 0, 0, 3]]


def test_what_leaves_the_clip_range_gains_nothing_more() -> None:
    log_ratios = torch.tensor([[1.0]], requires_grad=True)
    clipped_objective(log_ratios, torch.ones(1, 1), torch.ones(1, 1), clip_range=0.2).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert log_ratios.grad is not None
    assert log_ratios.grad.item() == 0


def test_the_leash_tightens_when_the_policy_runs_away() -> None:
    leash = Leash(0.1, 6.0)
    leash.pull(20.0)
    tight = leash.beta
    leash.pull(1.0)
    assert tight > 0.1
    assert leash.beta < tight
