"""RMSNorm on a CPU in fewer and quicker operations than torch's, which is composed of ten there."""

import torch
from torch import Tensor, cat, nn
from torch.nn.functional import layer_norm, rms_norm


class RmsNorm(nn.Module):
    """The root mean square is taken in float32; the result has the type of what it is given."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        super().__init__()
        self._weight = weight
        self._eps = eps
        self._is_composed = weight.device.type == "cpu"
        self._exact = weight.float() if self._is_composed else None
        self._doubled = cat((weight, weight)) if self._is_composed else None

    def forward(self, values: Tensor) -> Tensor:
        """[tokens, width] to the same."""
        if not self._is_composed:
            return rms_norm(values, self._weight.shape, self._weight, self._eps)
        return self._of_one(values) if len(values) == 1 else self._of_many(values)

    def _of_one(self, values: Tensor) -> Tensor:
        """layer_norm over x and -x: their mean is 0, so that it divides by the root mean square of x."""
        width = values.shape[1]
        mirrored = cat((values, values.neg()), dim=1)
        return layer_norm(mirrored, (2 * width,), self._doubled, None, self._eps)[:, :width]

    def _of_many(self, values: Tensor) -> Tensor:
        numbers = values.float()
        length = torch.linalg.vector_norm(numbers, dim=1, keepdim=True)
        root = length.square_().div_(values.shape[1]).add_(self._eps).rsqrt_()
        return numbers.mul(root).mul_(self._exact).to(values.dtype)
