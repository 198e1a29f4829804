"""From a conversation's vectors to the place where the replies that fit lie: the learnt half of a dual encoder."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, normalize

NARROW = 128
_HIDDEN = 512
_DROPPED = 0.1


class Projection(nn.Module):
    """A linear map and a small network beside it, to vectors of length 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.straight = nn.Linear(width, NARROW, bias=False)
        self.inner = nn.Linear(width, _HIDDEN)
        self.outer = nn.Linear(_HIDDEN, NARROW)

    def forward(self, vectors: Tensor) -> Tensor:
        """[..., width] to [..., narrow]."""
        hidden = dropout(gelu(self.inner(vectors)), _DROPPED, self.training)
        return normalize(self.straight(vectors) + self.outer(hidden), dim=-1)


def conversation(said: Tensor) -> Tensor:
    """What the projection reads, [2 * width]: the last message, and the mean of the one before and the first.

    `said`: [messages, width], oldest first.
    """
    *earlier, last = said
    before = (earlier[-1] + earlier[0]) / 2 if earlier else torch.zeros_like(last)
    return torch.cat([last, before])
