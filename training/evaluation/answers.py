"""Replies of a model as it would be served: the worker's engine, prompt, window and sampling."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from training.data.dialogue import Dialogue
from training.data.windows import before
from worker.engine.assemble import assemble
from worker.engine.batched import Batched
from worker.engine.port import Exchange, Request
from worker.settings import WorkerSettings

_AT_ONCE = 16
_SECONDS = 3600.0


class Question(NamedTuple):
    """A place in a dialogue where a model is to answer, and what was answered there."""

    history: tuple[Exchange, ...]
    text: str
    answered: str


def questions(dialogues: Sequence[Dialogue], *, instruction: str) -> list[Question]:
    """Every turn of the dialogues, after what the worker would show before it."""
    return [
        Question(tuple(before(dialogue, index, instruction=instruction)), exchange.text, exchange.reply)
        for dialogue in dialogues
        for index, exchange in enumerate(dialogue.exchanges)
    ]


def answers(
    model: Path,
    asked: Sequence[Question],
    *,
    instruction: str,
    reply_tokens: int,
    seed: int,
    adapter: Path | None = None,
) -> list[str]:
    """One reply to each question, in order; the same seed and machine give the same replies only one at a time."""
    import torch

    torch.manual_seed(seed)
    changes = {"model": str(model), "adapter": str(adapter) if adapter else None, "instruction": instruction}
    settings = WorkerSettings.read().model_copy(update=changes)
    engine = Batched(lambda: assemble(settings, capacity=_AT_ONCE), capacity=_AT_ONCE)
    engine.start()

    def answer(number: int) -> str:
        one = asked[number]
        request = Request(
            id=str(number),
            instruction=instruction,
            history=one.history,
            text=one.text,
            max_tokens=reply_tokens,
            deadline_seconds=_SECONDS,
        )
        return [progress.text for progress in engine.stream(request)][-1]

    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(answer, range(len(asked))))
    finally:
        engine.stop()
