"""The numbers that every phase computes with, against torch's and transformers' own."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from training.core import checkpoint
from training.core.language import Language
from training.core.loop import Loop, Pace
from training.core.losses import linear_cross_entropy
from training.core.muon import Optimiser, orthogonal
from training.core.schedule import Budget, Schedule
from training.core.shape import Shape, build
from training.data.encoding import Encoded, Part
from training.data.packing import BOTH_SIDES, REPLIES, collate, pack
from training.trouble import TrainingTrouble

SMALL = Shape(width=32, layers=2, heads=2, groups=1, head_width=16, feed_forward=64, context=512)


def test_packed_windows_have_the_loss_that_each_has_alone() -> None:
    torch.manual_seed(0)
    model = build(SMALL, vocabulary=300, end_ids=[2], pad_id=1, seed=0)
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    windows = [Encoded(torch.randint(0, 300, (size,)).tolist(), [Part.REPLY] * size) for size in (200, 90, 60, 150)]
    expected = 0.0
    for window in windows:
        ids = torch.tensor([window.ids])
        with torch.no_grad():
            logits = model(ids).logits[0, :-1]
        expected += cross_entropy(logits, ids[0, 1:], reduction="sum").item()

    batch = collate(pack(windows, length=300), length=300, pad_id=1)
    assert len(batch.ids) == 2
    found, divisor = Language(model, weights=BOTH_SIDES).loss(batch)
    assert divisor == sum(len(window.ids) - 1 for window in windows)
    assert abs(found.item() / expected - 1) < 1e-5


def test_the_loss_in_slices_has_the_gradients_of_the_whole() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(1200, 16, requires_grad=True), torch.randn(70, 16, requires_grad=True)
    labels, weights = torch.randint(0, 70, (1200,)), torch.rand(1200)
    (cross_entropy(hidden @ head.T, labels, reduction="none") * weights).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    expected = hidden.grad, head.grad
    hidden.grad = head.grad = None
    linear_cross_entropy(hidden, head, labels, weights).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    torch.testing.assert_close((hidden.grad, head.grad), expected, rtol=1e-4, atol=1e-4)


def test_an_orthogonal_direction_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((64, 32), (32, 64)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5
        assert values.max() < 1.5


def test_matrices_learn_as_with_torchs_muon() -> None:
    """Up to torch's bfloat16: ours multiplies in the weights' type (decision 71 says why)."""
    draws = torch.Generator().manual_seed(0)
    start = torch.randn(64, 32, generator=draws)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimiser = Optimiser({"w": ours}, rate=0.02, plain_rate=0.01, decay=0.1)
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1)
    for step in range(1, 21):
        ours.grad = torch.randn(64, 32, generator=draws)
        theirs.grad = ours.grad.clone()
        reference.param_groups[0]["momentum"] = 0.85 + 0.10 * step / 300
        optimiser.step(1.0)
        reference.step()  # type: ignore[no-untyped-call]  # torch has not typed it
    learned, expected = ours.detach() - start, theirs.detach() - start
    assert (learned - expected).norm() < 0.01 * expected.norm()


def test_an_optimiser_that_was_restored_goes_on_as_if_nothing_had_happened() -> None:
    def learner() -> tuple[torch.nn.Linear, Optimiser]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(8, 4)
        return layer, Optimiser(dict(layer.named_parameters()), rate=0.02, plain_rate=0.01, decay=0.1)

    def learn(layer: torch.nn.Linear, optimiser: Optimiser, steps: range) -> None:
        for step in steps:
            inputs = torch.randn(16, 8, generator=torch.Generator().manual_seed(step))
            layer(inputs).square().sum().backward()
            optimiser.step(1.0)

    whole, first = learner()
    learn(whole, first, range(6))
    half, second = learner()
    learn(half, second, range(3))
    state = second.state()
    again, third = learner()
    third.restore(state)
    learn(again, third, range(3, 6))
    assert torch.equal(whole.weight, again.weight)
    assert torch.equal(whole.bias, again.bias)


class Falling:
    """A task whose loss is its one weight, and no number from a chosen step on."""

    def __init__(self, weight: nn.Parameter, *, breaks_at: int | None = None) -> None:
        self.weight, self.breaks_at = weight, breaks_at
        self.measured = iter([3.0, 1.0, 2.0])

    def batches(self, position: tuple[int, ...]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        number = position[0] if position else 0
        while True:
            number += 1
            yield number, (number,)

    def loss(self, batch: Any) -> tuple[Tensor, float]:
        return self.weight.sum() * (math.nan if batch == self.breaks_at else 1.0), 1.0

    def size(self, batch: Any) -> int:
        return 1

    def measure(self) -> dict[str, float]:
        return {"loss": next(self.measured)}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Any) -> None:
        """Nothing of its own."""


def loop_over(task: Falling, directory: Path, *, steps: int, save_seconds: float = 0.0) -> Loop:
    return Loop(
        task,
        Optimiser.adam({"w": task.weight}, rate=0.1, decay=0.0, clip=1.0),
        directory=directory,
        budget=Budget(steps=steps, seconds=None),
        schedule=Schedule(warmup=0, decay=0.0),
        pace=Pace(measure_seconds=1e9, save_seconds=save_seconds),
        say=lambda _: None,
    )


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_state_before_it(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(TrainingTrouble, match=r"Step 3: the loss is nan.*as of step 3"):
        loop_over(Falling(weight, breaks_at=4), tmp_path, steps=9).run()
    state = checkpoint.load(tmp_path)
    assert state["step"] == 3
    assert torch.isfinite(state["learner"]["masters"]["w"]).all()
    assert (tmp_path / checkpoint.PREVIOUS).is_file()


def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2))
    loop = loop_over(Falling(weight), tmp_path, steps=9)
    loop.save()
    loop._learner.state()["masters"]["w"][0] = math.inf
    with pytest.raises(TrainingTrouble, match="w holds values that are no numbers"):
        loop.save()
    assert torch.isfinite(checkpoint.load(tmp_path)["learner"]["masters"]["w"]).all()


def test_the_state_with_the_lowest_held_out_loss_is_kept(tmp_path: Path) -> None:
    loop = loop_over(Falling(nn.Parameter(torch.ones(2))), tmp_path, steps=1)
    kept = []
    for step in (10, 20, 30):  # measured: 3, 1, 2
        loop._at.step = step
        loop._measure()
        kept.append(torch.load(tmp_path / checkpoint.BEST, weights_only=True)["step"])
    assert kept == [10, 20, 20]


def test_a_batch_whose_replies_were_all_cut_away_is_an_error() -> None:
    model = build(SMALL, vocabulary=64, end_ids=[2], pad_id=0, seed=1)
    batch = collate([[Encoded([5] * 8, [Part.CLIENT] * 8)]], length=8, pad_id=0)
    with pytest.raises(TrainingTrouble, match="rows of 8 tokens holds no reply"):
        Language(model, weights=REPLIES).loss(batch)
