"""What fine-tuning would take, against models whose sizes are known."""

from pathlib import Path
from typing import Any

import pytest

from tests.worker.engine import chatglm2
from training.core.shape import Shape, build
from training.estimate import CHATGLM2_6B, estimate, shape_of
from training.recipe import DpoRecipe, Lora, PpoRecipe, RewardRecipe, SftRecipe
from training.trouble import TrainingTrouble

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"]


def test_the_shape_of_six_billion_has_its_published_size() -> None:
    found = estimate(CHATGLM2_6B, SftRecipe(), flops=1e12)
    assert abs(found.parameters - 12_487_168_064 / 2) < 1e6  # bytes of its float16 files
    assert 11.5 < found.weights_gib < 11.8
    assert found.total_gib < 60
    assert estimate(CHATGLM2_6B, SftRecipe(recomputed=True), flops=1e12).activations_gib < found.activations_gib / 5


def test_the_parameters_are_those_of_the_model_itself() -> None:
    model = build(Shape(), vocabulary=8192, end_ids=[2], pad_id=1, seed=0)
    count = sum(weights.numel() for weights in model.parameters())
    found = estimate(model.config.to_dict(), SftRecipe(lora=None), flops=1e12)
    assert abs(found.parameters / count - 1) < 0.001
    assert found.trained == found.parameters


def test_a_directory_of_chatglm2_is_read_under_its_own_names(tmp_path: Path) -> None:
    model = chatglm2.write(tmp_path / "model")
    held = sum(weights.numel() for name, weights in chatglm2.weights().items() if "inv_freq" not in name)
    found = estimate(shape_of(model), SftRecipe(), flops=1e12)
    assert abs(found.parameters / held - 1) < 0.01
    with pytest.raises(TrainingTrouble, match="no config"):
        shape_of(tmp_path)


def test_the_adapter_has_the_size_that_peft_gives_it() -> None:
    from peft import LoraConfig, get_peft_model

    model = build(Shape(width=64, layers=2, feed_forward=96), vocabulary=300, end_ids=[2], pad_id=1, seed=0)
    found = estimate(model.config.to_dict(), SftRecipe(), flops=1e12)
    lora = SftRecipe().lora
    assert lora is not None
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        adapted = get_peft_model(model, LoraConfig(r=lora.rank, target_modules=TARGETS))
    learned = sum(weights.numel() for weights in adapted.parameters() if weights.requires_grad)
    assert found.trained == learned


def test_ppo_of_a_whole_model_holds_three() -> None:
    adapted, whole = (estimate(CHATGLM2_6B, recipe, flops=1e12) for recipe in (PpoRecipe(), PpoRecipe(lora=None)))
    assert whole.weights_gib == 3 * adapted.weights_gib
    assert adapted.rollouts_gib == pytest.approx(64 * 768 * 28_672 / 2**30)


def test_comparisons_hold_two_replies_and_a_whole_model_its_reference() -> None:
    one, two = (estimate(CHATGLM2_6B, kind(rows=4), flops=1e12) for kind in (SftRecipe, RewardRecipe))
    assert two.activations_gib == 2 * one.activations_gib
    whole = [estimate(CHATGLM2_6B, kind(lora=None), flops=1e12).weights_gib for kind in (SftRecipe, DpoRecipe)]
    assert whole[1] == 2 * whole[0]


def test_a_model_with_a_template_of_its_own_is_estimated_by_its_configuration(tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 2, "vocab_size": 300}
    model: Any = Qwen2ForCausalLM(Qwen2Config(**sizes, num_attention_heads=4, num_key_value_heads=2))
    model.save_pretrained(tmp_path)
    found = estimate(shape_of(tmp_path), SftRecipe(), flops=1e12)
    learned = 16 * 2 * (32 + 32 + 2 * (32 + 16) + 32 + 32 + 3 * (32 + 80))
    assert found.trained == learned
    assert abs(found.parameters / sum(weights.numel() for weights in model.parameters()) - 1) < 0.01


def test_a_base_in_four_bits_takes_a_quarter_of_the_matrices_memory() -> None:
    plain, small = (estimate(CHATGLM2_6B, SftRecipe(lora=Lora(base_bits=bits)), flops=1e12) for bits in (16, 4))
    assert plain.trained == small.trained
    assert 3.3 < small.weights_gib < 4
    assert plain.weights_gib > 11
