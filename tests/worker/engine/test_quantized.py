"""Weights in eight and four bits: what is stored, what is computed with it, and what an operator is told."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.worker.engine import chatglm2
from worker.engine.assemble import open_model
from worker.engine.packed import pack
from worker.engine.port import ModelUnusable
from worker.engine.quantized import (
    Bits,
    DynamicInt8Linear,
    QuantizedLinear,
    TiledInt8Linear,
    can_tile,
    int8_linear,
    joined,
    quantize,
    quantized,
)
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.settings import WorkerSettings

CPU = torch.device("cpu")


def layer(inputs: int = 64, outputs: int = 6, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(5)
    return nn.Linear(inputs, outputs, bias=bias).requires_grad_(requires_grad=False)


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (4, 7)])
def test_each_weight_is_the_nearest_of_its_scales_steps(bits: Bits, largest: int) -> None:
    plain = layer()
    stored = quantized(plain, bits)
    step = stored.scale if bits == 8 else stored.scale.repeat_interleave(32, dim=1)
    assert ((stored.weight - plain.weight).abs() <= step / 2 + 1e-7).all()
    assert (stored.weight / step).abs().max() <= largest + 1e-3
    assert stored.stored.numel() * 8 == plain.weight.numel() * bits


@pytest.mark.parametrize("bits", [8, 4])
def test_joined_layers_compute_what_the_single_ones_do(bits: Bits) -> None:
    parts = [quantized(layer(outputs=outputs), bits) for outputs in (6, 2, 2)]
    values = torch.randn(3, 64)
    expected = torch.cat([part(values) for part in parts], dim=1)
    assert (joined(parts)(values) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0, 256), (1, 256), (5, 256), (70, 256), (2, 3, 256)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_cpu_multiplies_eight_bits_as_they_are(dtype: torch.dtype, shape: tuple[int, ...], *, bias: bool) -> None:
    model = nn.Sequential(layer(256, 32, bias=bias).to(dtype))
    values = torch.randn(shape, dtype=dtype)
    kept = values.clone()
    expected = model(values).float()
    quantize(model, 8)
    pack(model)
    assert isinstance(model[0], DynamicInt8Linear | TiledInt8Linear)
    found = model(values)
    assert found.dtype is dtype
    assert found.shape == expected.shape
    assert torch.equal(values, kept)
    assert (found.float() - expected).norm() <= 0.02 * expected.norm()


@pytest.mark.parametrize("count", [1, 5, 70])
def test_tiles_and_dynamic_products_agree_and_a_large_row_costs_others_nothing(count: int) -> None:
    """Where the CPU has no tiles, oneDNN computes the same without them."""
    stored = quantized(layer(256, 32).to(torch.bfloat16), 8)
    values = torch.randn(count, 256, dtype=torch.bfloat16)
    values[0] *= 1000
    expected = values.float() @ stored.weight.float().t() + (0 if stored.bias is None else stored.bias.float())
    for form in (TiledInt8Linear, DynamicInt8Linear):
        off = (form(stored)(values).float() - expected).norm(dim=1) / expected.norm(dim=1)
        assert off.max() <= 0.02


def test_only_large_layers_in_bfloat16_are_multiplied_in_tiles() -> None:
    large = quantized(layer(4096, 2048, bias=False).to(torch.bfloat16), 8)
    assert isinstance(int8_linear(large), TiledInt8Linear) is can_tile()
    large.scale = nn.Buffer(large.scale.float())
    assert isinstance(int8_linear(large), DynamicInt8Linear)
    assert isinstance(int8_linear(quantized(layer().to(torch.bfloat16), 8)), DynamicInt8Linear)


def test_four_bits_keep_the_head_and_what_has_no_groups_of_32(model: PreTrainedModel) -> None:
    quantize(model, 4)
    assert type(model.lm_head) is nn.Linear
    assert type(model.model.layers[0].mlp.down_proj) is nn.Linear  # 88 inputs
    assert sum(isinstance(module, QuantizedLinear) for module in model.modules()) == 2 * 5


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.03), (4, 0.4)])
def test_the_engine_runs_a_quantised_model(model: PreTrainedModel, bits: Bits, tolerance: float) -> None:
    ids = chatglm2.prompt(40)
    quantize(model, bits)
    with torch.inference_mode():
        own = model(torch.tensor([ids])).logits[0, -1]
    runner = Runner(
        model,
        sampler=Sampler(Sampling(temperature=1, top_p=1, top_k=1), device=CPU),
        block_count=8,
        block_size=16,
    )
    found = runner.logits([RunnerInput(ids, 0, range(8), needs_token=True)])[0]
    exact = chatglm2.forward(ids)[-1]
    assert (found - exact).norm() / exact.norm() < tolerance
    if bits == 4:  # on a CPU eight bits also round the inputs
        assert (found - own).abs().max() < 1e-4


def test_four_bits_on_a_cpu_are_refused_with_what_to_do(checkpoint: Path) -> None:
    with pytest.raises(ModelUnusable, match="MINDGLM_QUANTIZE=int8"):
        open_model(WorkerSettings(model=str(checkpoint), device="cpu", quantize="int4"))
