"""Replies drawn by the worker's engine are those of the policy, and the policy learns on afterwards."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import GlmConfig, GlmForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from tests.training.test_templates import FAMILIES
from tests.worker.test_model_template import SIZES
from training.core import attention
from training.rollouts import draw
from training.trouble import TrainingTrouble
from worker.engine import attention as paging
from worker.engine.sampling import Sampling

GREEDY = Sampling(temperature=1.0, top_p=1.0, top_k=1)
WORDS = 50
STOP = 7
ASKED = [[3] * 20 + [9], [3] * 20 + [11, 12], [5], list(range(8, 40))]
"""The first two begin alike, so that one of them is computed in part."""


def tiny(config: Any, kind: Any, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(4)
    sizes = SIZES | {"head_dim": 8, "max_position_embeddings": 256, "vocab_size": WORDS, **changes}
    model: PreTrainedModel = kind(config(**sizes, eos_token_id=STOP, pad_token_id=0))
    for weights in model.parameters():  # as far from each other as those of a trained model
        weights.data *= 6 if weights.dim() > 1 else 1
    attention.use(model)
    return model


def generated(model: Any, ids: Sequence[int], count: int) -> list[int]:
    """What transformers' own loop says next, until the end."""
    model.set_attn_implementation("sdpa")
    model.train(mode=False)
    with torch.no_grad():
        whole = model.generate(torch.tensor([list(ids)]), do_sample=False, max_new_tokens=count, guidance_scale=1.0)
    attention.use(model)
    reply: list[int] = whole[0, len(ids) :].tolist()
    return reply


@pytest.mark.parametrize("family", [*FAMILIES, "glm"])
def test_replies_are_those_of_generate(family: str) -> None:
    model = tiny(*(FAMILIES | {"glm": (GlmConfig, GlmForCausalLM)})[family])
    drawn = draw(model, ASKED, reply_tokens=12, stop_ids=[STOP], sampling=GREEDY)
    for ids, one in zip(ASKED, drawn, strict=True):
        assert one.prompt == ids
        assert one.reply == generated(model, ids, 12)
        assert one.is_finished == (one.reply[-1] == STOP)


def test_the_whole_distribution_is_drawn_from_whatever_the_model_recommends() -> None:
    model: Any = tiny(GlmConfig, GlmForCausalLM)
    for name, value in {"guidance_scale": 3.0, "top_k": 1, "temperature": 0.1}.items():
        setattr(model.generation_config, name, value)
    torch.manual_seed(1)
    replies = draw(model, [[9]] * 4000, reply_tokens=1, stop_ids=[STOP])
    seen = torch.bincount(torch.tensor([one.reply[0] for one in replies]), minlength=WORDS) / len(replies)
    model.set_attn_implementation("sdpa")
    expected = torch.softmax(model(torch.tensor([[9]])).logits[0, -1].float(), dim=0)
    assert (seen - expected).abs().max() < 0.03


def test_the_model_is_as_it_was_and_learns_on() -> None:
    model = tiny(GlmConfig, GlmForCausalLM)
    model.train()
    before = {name: weights.clone() for name, weights in model.named_parameters()}
    draw(model, ASKED, reply_tokens=3, stop_ids=[STOP])
    assert model.training
    assert model.config._attn_implementation == attention.NAME != paging.NAME
    assert all(torch.equal(weights, before[name]) for name, weights in model.named_parameters())
    model.set_attn_implementation("sdpa")
    whole: Any = model
    whole(torch.tensor([ASKED[0]])).logits.sum().backward()
    assert all(weights.grad is not None for weights in model.parameters())


def test_what_cannot_be_drawn_is_said() -> None:
    model = tiny(GlmConfig, GlmForCausalLM)
    whole: Any = model
    whole.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(TrainingTrouble, match="no numbers"):
        draw(model, ASKED, reply_tokens=3, stop_ids=[STOP])
    windowed = tiny(
        Qwen2Config, Qwen2ForCausalLM, use_sliding_window=True, sliding_window=4, max_window_layers=0, layer_types=None
    )
    with pytest.raises(TrainingTrouble, match="sliding window"):
        draw(windowed, ASKED, reply_tokens=3, stop_ids=[STOP])
