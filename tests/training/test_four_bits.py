"""QLoRA: a frozen base in four bits, on the CPU; what it learns is an ordinary adapter of the base as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from training import sft, student
from training.recipe import Lora, SftRecipe
from worker.model.examine import examine
from worker.model.load import load_model

CPU = torch.device("cpu")
FOUR = Lora(base_bits=4)
MACHINE: dict[str, Any] = {"precision": "float32", "device": "cpu", "threads": 1, "hours": None, "log_steps": 5}

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        seen = torch.ones(1, 1, len(ids), len(ids), dtype=torch.bool).tril()
        found: torch.Tensor = model(torch.tensor([ids]), attention_mask=seen).logits
    return found


def test_the_matrices_are_in_four_bits_and_the_model_says_nearly_the_same(pretrained: Path) -> None:
    from bitsandbytes.nn.modules import Linear4bit  # brings torch's compiler, which no other test needs

    source = pretrained / "model"
    plain = student.load(source, SftRecipe(**MACHINE, lora=None), device=CPU)
    small = student.load(source, SftRecipe(**MACHINE, lora=FOUR), device=CPU)
    matrices = [module for module in small.model.modules() if isinstance(module, Linear4bit)]
    linears = [module for module in plain.model.modules() if isinstance(module, nn.Linear)]
    assert len(matrices) == len(linears) - 1, "all but the output matrix"
    assert all(matrix.weight.dtype is torch.uint8 for matrix in matrices)
    assert all("lora_" in name for name in small.parameters)
    ids = list(range(5, 40))
    expected, found = logits(plain.model, ids), logits(small.model, ids)
    assert 0 < (expected - found).abs().mean() < 0.5 * expected.std()


def test_it_learns_and_its_adapter_is_served_on_the_base_as_it_was(
    pretrained: Path, corpus_directory: Path, tmp_path: Path
) -> None:
    source = pretrained / "model"
    recipe = SftRecipe(**MACHINE, lora=FOUR, steps=6, rows=2, length=256, measured=2, rate=3e-3)
    sft.tune(tmp_path, model=source, data=corpus_directory, recipe=recipe, is_resumed=False, say=lambda _: None)
    adapter = tmp_path / student.ADAPTER
    base = load_model(examine(source), dtype="float32", device=CPU)
    served = load_model(examine(source), dtype="float32", device=CPU, adapter=adapter)
    ids = list(range(5, 40))
    assert (logits(base, ids) - logits(served, ids)).abs().max() > 1e-3
    longer = recipe.model_copy(update={"steps": 8})
    sft.tune(tmp_path, model=source, data=corpus_directory, recipe=longer, is_resumed=True, say=lambda _: None)
