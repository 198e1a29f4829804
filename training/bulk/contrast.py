"""Relevance: a reply is preferred to one that was given to other words, by DPO (Rafailov et al. 2023).

The rejected reply is real too, from another turn of the same dialogue or from another dialogue, so that nothing but
what was said tells the two apart. The loss of the chosen reply is kept beside it (Pang et al. 2024).
"""

import copy
import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from training.bulk.model import Batch, Glm
from training.bulk.rows import Filler, Form, Rows, Window, pack, served
from training.bulk.tokens import Side, Tokens

if TYPE_CHECKING:
    from training.bulk.run import Run

_BETA = 0.1
_KEPT = 1.0  # what a token of the chosen reply counts beside a pair
_RATE = 1e-5
_WARMUP = 20
_SAME_DIALOGUE = 0.5


def learn(run: "Run", model: Glm, tokens: Tokens, *, seconds: float, rows: int, length: int) -> None:
    """Train `model` on for so many seconds."""
    from training.bulk.run import batch

    device = next(model.parameters()).device
    reference = copy.deepcopy(model).requires_grad_(requires_grad=False).train(mode=False)
    model.train(mode=False)  # no dropout: both are compared as they are served
    learner = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.95), weight_decay=0.0)
    began = time.monotonic()
    for step, (packed, numbers, count) in enumerate(pairs(tokens, rows=rows, length=length, seed=1)):
        progress = (time.monotonic() - began) / seconds
        if progress >= 1:
            break
        for group in learner.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARMUP) * (1 - progress)
        moved = batch(packed, device)
        owner = torch.from_numpy(numbers).to(device)
        mine, lengths = likelihoods(model, moved, owner, count)
        with torch.no_grad():
            theirs, _ = likelihoods(reference, moved, owner, count)
        gain = (mine - theirs).view(-1, 2)
        margin = gain[:, 0] - gain[:, 1]
        kept = -mine.view(-1, 2)[:, 0].sum() / lengths.view(-1, 2)[:, 0].sum()
        loss = -logsigmoid(_BETA * margin).mean() + _KEPT * kept
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        learner.step()
        learner.zero_grad()
        if step % 10 == 0:
            right = (mine.view(-1, 2).diff(dim=1) < 0).float().mean()
            run.say(
                contrast=step,
                pairs=len(margin),
                loss=float(loss.detach()),
                kept=float(kept.detach()),
                margin=float(margin.detach().mean()),
                preferred=float((margin > 0).float().mean()),
                right=float(right),
            )


def likelihoods(model: Glm, moved: Batch, owner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The log-likelihood of each window's reply, and its tokens.

    `owner` [rows, windows] is each window's number, that of padding being `count`.
    """
    ids, weights, layout = moved
    losses = model(ids, ids.roll(-1, 1), layout) * (weights.roll(-1, 1) > 0)
    places = owner.gather(1, layout.windows.long()).flatten()
    found = torch.zeros(count + 1, device=ids.device).index_add(0, places, -losses.flatten())
    sizes = torch.zeros(count + 1, device=ids.device).index_add(0, places, (weights.roll(-1, 1) > 0).float().flatten())
    return found[:-1], sizes[:-1]


def pairs(tokens: Tokens, *, rows: int, length: int, seed: int) -> Iterator[tuple[Rows, np.ndarray, int]]:
    """Batches of pairs without end: window 2n is the chosen one, 2n + 1 the rejected one."""
    chance = random.Random(seed)  # noqa: S311  # an order, not a secret
    side = tokens.train
    filler = Filler(tokens, side, Form(rows, length, client_weight=0.0, blind=0.0))
    held: list[tuple[np.ndarray, np.ndarray]] = []
    room = 0
    while True:
        encoded = _pair(tokens, side, filler, chance)
        if encoded is None or max(len(ids) for ids, _ in encoded) > length:
            continue
        held += encoded
        room += sum(len(ids) for ids, _ in encoded)
        if room > 0.93 * rows * length:
            packed = pack([len(ids) for ids, _ in held], length=length)
            if len(packed) <= rows:
                yield _laid(filler, held, packed, rows)
            held, room = [], 0


def _pair(
    tokens: Tokens, side: Side, filler: Filler, chance: random.Random
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    dialogue = chance.randrange(len(side))
    windows = list(served(side, dialogue, instruction=tokens.instruction, opening=tokens.opening))
    window = chance.choice(windows)
    answered = (
        chance.randrange(max(window.learned, window.start), window.stop) if window.stop > window.start else window.first
    )
    first, end = int(side.first[dialogue]), int(side.first[dialogue + 1])
    others = [number for number in range(first, end) if number != answered]
    if not others or chance.random() > _SAME_DIALOGUE:
        other = chance.randrange(int(side.first[-1]))
    else:
        other = chance.choice(others)
    own = Window(window.first, window.start, answered + 1, answered)
    return [filler.encode(own), filler.encode(own, reply=other)]


def _laid(
    filler: Filler, held: list[tuple[np.ndarray, np.ndarray]], packed: list[list[int]], rows: int
) -> tuple[Rows, np.ndarray, int]:
    laid = filler.laid([[held[index] for index in row] for row in packed])
    owner = np.full((rows, int(laid.windows.max()) + 1), len(held), np.int64)
    for row, indices in enumerate(packed):
        owner[row, : len(indices)] = indices
    return laid, owner, len(held)
