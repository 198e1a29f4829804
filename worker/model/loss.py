"""How likely the engine finds supporters' replies: the number in which a loss of precision shows."""

from collections.abc import Sequence
from pathlib import Path

import torch

from worker.engine.port import Exchange, Request
from worker.engine.prompter import Prompter
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.model.probe import read_dialogues

_REPLY_TOKENS = 24
_SECONDS = 600.0


def sample_dialogues() -> list[list[Exchange]]:
    """Eight beginnings of dialogues (SmileChat, CC0)."""
    return read_dialogues(Path(__file__).parent / "sample_dialogues.jsonl")


@torch.inference_mode()
def mean_loss(
    runner: Runner, prompter: Prompter, dialogues: Sequence[Sequence[Exchange]], *, instruction: str, block_size: int
) -> float:
    """Nats per token of the last replies, of at most 24 tokens each, decoded side by side as the engine decodes."""
    losses: list[float] = []
    sequences = []
    first_block = 0
    for *history, last in dialogues:
        request = Request(
            id="loss",
            instruction=instruction,
            history=history,
            text=last.text,
            max_tokens=_REPLY_TOKENS,
            deadline_seconds=_SECONDS,
        )
        ids, reply = prompter.ids(request), prompter.tokenizer.text_ids(last.reply)[:_REPLY_TOKENS]
        count = -(-(len(ids) + len(reply)) // block_size)
        if first_block + count > runner.block_count:
            break
        sequences.append((ids, reply, range(first_block, first_block + count)))
        first_block += count
    for ids, reply, blocks in sequences:
        row = runner.logits([RunnerInput(ids, 0, blocks, needs_token=True)])[0]
        losses.append(_loss(row, reply[0]))
    for number in range(1, _REPLY_TOKENS):
        still = [sequence for sequence in sequences if len(sequence[1]) > number]
        inputs = [
            RunnerInput([reply[number - 1]], len(ids) + number - 1, blocks, needs_token=True)
            for ids, reply, blocks in still
        ]
        if inputs:
            rows = runner.logits(inputs)
            losses += [_loss(row, reply[number]) for row, (_, reply, _) in zip(rows, still, strict=True)]
    return sum(losses) / len(losses)


def _loss(row: torch.Tensor, id_: int) -> float:
    return float(-row.float().log_softmax(dim=0)[id_])
