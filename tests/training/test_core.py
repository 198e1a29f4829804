"""The numbers that every phase computes with, against torch's and transformers' own."""

import torch
from torch.nn.functional import cross_entropy

from training.core.language import Language
from training.core.losses import linear_cross_entropy
from training.core.muon import Optimiser, orthogonal
from training.core.shape import Shape, build
from training.data.encoding import Encoded, Part
from training.data.packing import BOTH_SIDES, collate, pack

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
        reference.step()
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
