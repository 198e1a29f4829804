"""Learns from pairs of a conversation and its reply: they are brought together, a batch's other replies apart.

The pieces' vectors learn too (a dual encoder over bags, Henderson et al. 2017, arXiv 1705.00652).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding_bag, normalize

from worker.retrieval.encoder import WIDTH
from worker.retrieval.projection import Projection

_BATCH = 512
_RATE = 1e-3
_PIECES_RATE = 2e-3
_LAST = 0.02
_DECAY = 0.02
_TRIED = 100
"""Replies among which the right one is looked for."""


class Rows(NamedTuple):
    """Texts as pieces, one after the other."""

    ids: Tensor
    starts: Tensor  # [texts + 1]

    def of(self, texts: Tensor) -> tuple[Tensor, Tensor]:
        """The pieces of some texts, and where each begins."""
        lengths = self.starts[texts + 1] - self.starts[texts]
        ends = lengths.cumsum(0)
        begins = ends - lengths
        places = torch.arange(int(ends[-1])) - begins.repeat_interleave(lengths)
        return self.ids[places + self.starts[texts].repeat_interleave(lengths)], begins


class Pairs(NamedTuple):
    """What was said last, what stood before it (the text before and the first one; -1 for none), and the reply."""

    message: Tensor  # [pairs], rows
    before: Tensor  # [pairs, 2], rows
    reply: Tensor  # [pairs], rows

    def some(self, which: Tensor) -> "Pairs":
        """These pairs alone."""
        return Pairs(*(column[which] for column in self))


class DualEncoder(nn.Module):
    """`conversation` and `reply` map bags of pieces into one space."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.pieces = nn.Parameter(vectors.clone())
        self.conversation = Projection(2 * WIDTH)
        self.reply = Projection(WIDTH)
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))

    def texts(self, rows: Rows, which: Tensor) -> Tensor:
        """[texts, width] of length 1; zeros for -1."""
        ids, starts = rows.of(which.clamp(min=0))
        found = normalize(embedding_bag(ids, self.pieces, starts, mode="sum"), dim=1)
        return found * (which >= 0).unsqueeze(1)

    def both(self, rows: Rows, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Conversations and replies in the one space."""
        before = (self.texts(rows, pairs.before[:, 0]) + self.texts(rows, pairs.before[:, 1])) / 2
        conversations = self.conversation(torch.cat([self.texts(rows, pairs.message), before], dim=1))
        return conversations, self.reply(self.texts(rows, pairs.reply))

    def loss(self, rows: Rows, pairs: Pairs) -> Tensor:
        """Both ways round."""
        conversations, replies = self.both(rows, pairs)
        scores = conversations @ replies.T * self.log_scale.exp()
        own = torch.arange(len(scores))
        return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2


def learn(model: DualEncoder, rows: Rows, pairs: Pairs, *, epochs: int, seed: int = 0) -> None:
    """Train in place."""
    torch.manual_seed(seed)
    model.train()
    others = [*model.conversation.parameters(), *model.reply.parameters(), model.log_scale]
    groups = [{"params": [model.pieces], "weight_decay": 0.0}, {"params": others, "weight_decay": _DECAY}]
    optimiser = torch.optim.AdamW(groups)
    size = min(_BATCH, len(pairs.reply))
    steps = epochs * (len(pairs.reply) // size)
    for step, which in enumerate(_batches(len(pairs.reply), size, epochs)):
        left = _LAST + (1 - _LAST) * (1 - step / steps)
        for group, rate in zip(optimiser.param_groups, (_PIECES_RATE, _RATE), strict=True):
            group["lr"] = rate * left
        optimiser.zero_grad()
        model.loss(rows, pairs.some(which)).backward()  # type: ignore[no-untyped-call]  # torch's own
        optimiser.step()
    model.eval()


def recall(model: DualEncoder, rows: Rows, pairs: Pairs) -> float:
    """How often the right reply is first among a hundred (R100@1)."""
    order = torch.randperm(len(pairs.reply), generator=torch.Generator().manual_seed(1))
    found, asked = 0, 0
    with torch.inference_mode():
        for which in torch.split(order, _TRIED):
            conversations, replies = model.both(rows, pairs.some(which))
            found += int(((conversations @ replies.T).argmax(1) == torch.arange(len(which))).sum())
            asked += len(which)
    return found / max(1, asked)


def rows_of(texts: Sequence[tuple[Tensor, Tensor]]) -> Rows:
    """Of what `numbered` gives, part by part."""
    ids = torch.cat([part for part, _ in texts])
    offsets = torch.tensor([0, *(len(part) for part, _ in texts)]).cumsum(0)
    starts = [begins + offset for (_, begins), offset in zip(texts, offsets[:-1], strict=True)]
    return Rows(ids=ids, starts=torch.cat([*starts, offsets[-1:]]))


def _batches(count: int, size: int, epochs: int) -> Iterator[Tensor]:
    for _ in range(epochs):
        for which in torch.split(torch.randperm(count), size):
            if len(which) == size:
                yield which
