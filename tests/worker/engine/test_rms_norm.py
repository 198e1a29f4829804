"""RMSNorm composed of other operations computes what torch's own does."""

import pytest
import torch
from torch.nn.functional import rms_norm

from worker.engine.rms_norm import RmsNorm


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_it_divides_by_the_root_mean_square(dtype: torch.dtype, tolerance: float, tokens: int) -> None:
    torch.manual_seed(5)
    weight = torch.randn(96, dtype=dtype)
    values = torch.randn(tokens, 96, dtype=dtype) + 3
    values[1:2] *= 1e-4  # where eps counts
    values[2:3] *= 1e4
    expected = rms_norm(values, (96,), weight, 1e-5)
    found = RmsNorm(weight, 1e-5)(values)
    assert found.dtype is dtype
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance)
