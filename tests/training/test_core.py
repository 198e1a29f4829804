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
from training.core.loop import Loop, LossScale, Pace
from training.core.losses import linear_cross_entropy
from training.core.muon import Optimiser, Stepped, orthogonal
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

    def told(self) -> dict[str, float]:
        return {"own": 7.0}

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Any) -> None:
        """Nothing of its own."""


class Uneven(Falling):
    """Batches of one token and of three, whose losses pull the weight in two directions."""

    def loss(self, batch: Any) -> tuple[Tensor, float]:
        tokens = 1.0 if batch % 2 else 3.0
        return (self.weight * torch.tensor([tokens, 0.0]) if tokens == 1 else -self.weight * tokens).sum(), tokens


class Remembering:
    """A learner that keeps the gradient it was given."""

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight, self.seen = weight, list[Tensor]()

    def step(self, factor: float, *, divisor: float = 1.0) -> Stepped:
        assert self.weight.grad is not None
        self.seen.append(self.weight.grad / divisor)
        self.weight.grad = None
        return Stepped(rate=factor, norm=float(self.seen[-1].norm()))

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Any) -> None:
        """Nothing was learned."""


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


def test_each_token_of_accumulated_batches_counts_the_same(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2))
    learner = Remembering(weight)
    Loop(
        Uneven(weight),
        learner,
        directory=tmp_path,
        budget=Budget(steps=1, seconds=None),
        schedule=Schedule(warmup=0, decay=0.0),
        pace=Pace(accumulate=2, measure_seconds=1e9, save_seconds=1e9),
        say=lambda _: None,
    ).run()
    torch.testing.assert_close(learner.seen[0], torch.tensor([(1 - 3) / 4, -3 / 4]))


def test_the_log_names_rate_gradient_and_what_the_task_tells(tmp_path: Path) -> None:
    told = list[tuple[int, dict[str, float]]]()
    loop_over(Falling(nn.Parameter(torch.ones(2))), tmp_path, steps=10).run(
        lambda at, numbers: told.append((at, dict(numbers)))
    )
    (entry,) = [entry for entry in checkpoint.read_log(tmp_path) if "loss" in entry]
    assert (entry["rate"], entry["gradient_norm"], entry["own"]) == (0.1, 1.414, 7.0)
    assert [(at, sorted(numbers)) for at, numbers in told] == [
        (10, ["train/gradient_norm", "train/loss", "train/own", "train/rate"]),
        (10, ["held_out/loss"]),
    ]


def test_a_gradient_beyond_float16_is_not_learned_and_halves_the_scale() -> None:
    weight = nn.Parameter(torch.ones(2, dtype=torch.float16))
    learner = Optimiser.adam({"w": weight}, rate=0.1, decay=0.0, clip=1.0)
    scale = LossScale.of(torch.float16)
    before = scale.value
    for factor in (6e4, 1.0):
        (weight.sum() * factor * scale.value).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        assert scale.stepped(learner.step(1.0, divisor=scale.value).norm)
    assert scale.value == before / 2
    assert learner.state()["steps"] == 1
    assert torch.isfinite(weight).all()


def test_a_gradient_that_is_no_number_ends_a_run_whose_scale_is_fixed() -> None:
    assert not LossScale.of(torch.bfloat16).stepped(math.inf)
