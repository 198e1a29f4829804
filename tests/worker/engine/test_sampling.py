"""The next token is drawn from the seed's distribution."""

import pytest
import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from worker.engine.sampling import Sampler, Sampling, largest, suppressed_ids

CPU = torch.device("cpu")


def seeds_distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """What generate() draws from with the same three settings."""
    ids = torch.zeros(len(logits), 1, dtype=torch.long)
    for warper in (
        TemperatureLogitsWarper(sampling.temperature),
        TopKLogitsWarper(sampling.top_k or 60),
        TopPLogitsWarper(sampling.top_p),
    ):
        logits = warper(ids, logits)
    return torch.softmax(logits, dim=-1)


@pytest.mark.parametrize("top_p", [0.3, 0.8, 1.0])
@pytest.mark.parametrize("top_k", [1, 5, 50, None])
def test_it_draws_as_generate_does(top_p: float, top_k: int | None) -> None:
    torch.manual_seed(5)
    sampling = Sampling(temperature=0.8, top_p=top_p, top_k=top_k)
    logits = torch.randn(1, 60) * 2
    drawn = Sampler(sampling, device=CPU).sample(logits.expand(20_000, -1))
    seen = torch.bincount(torch.tensor(drawn), minlength=60) / len(drawn)
    expected = seeds_distribution(logits, sampling)[0]
    assert (seen[expected == 0] == 0).all()
    assert (seen - expected).abs().max() < 0.02


def test_a_silent_id_is_never_drawn() -> None:
    sampling = Sampling(temperature=1, top_p=1, top_k=2, suppressed_ids=frozenset({1}))
    assert Sampler(sampling, device=CPU).sample(torch.tensor([[0.0, 9.0, 0.0]]).expand(50, -1)).count(1) == 0


def test_more_candidates_than_words_is_no_error() -> None:
    assert Sampler(Sampling(temperature=1, top_p=1, top_k=99), device=CPU).sample(torch.tensor([[0.0, 9.0]])) != []


@pytest.mark.parametrize("top_k", [2, None])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_row_that_holds_no_number_is_reported_alone(bad: float, top_k: int | None) -> None:
    sampler = Sampler(Sampling(temperature=1, top_p=1, top_k=top_k), device=CPU)
    assert sampler.sample(torch.tensor([[0.0, bad, 0.0], [0.0, 90.0, 0.0]])) == [None, 1]


@pytest.mark.parametrize("count", [1, 50])
def test_the_largest_of_a_large_vocabulary_are_those_of_topk(count: int) -> None:
    torch.manual_seed(5)
    scores = torch.randperm(5 * 65_024).view(5, 65_024).float()
    scores[1, 7] = scores[1, 65_023] = float("inf")
    scores[2, 1000:] = float("-inf")
    scores[3, 40_000] = float("nan")
    expected = scores.topk(count, dim=1)
    best, ids = largest(scores, count)
    assert torch.equal(best.nan_to_num(-1), expected.values.nan_to_num(-1))
    assert torch.equal(scores.gather(1, ids).nan_to_num(-1), best.nan_to_num(-1))


def test_padding_rows_and_control_tokens_are_silent_but_not_the_end() -> None:
    assert suppressed_ids({0, 2}, text_size=5, vocabulary_size=7, stop_ids={2}) == {0, 5, 6}
