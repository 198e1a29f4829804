"""Replies of a model as it would be served: the worker's engine, prompt, window and sampling."""

from collections.abc import Iterator, Mapping, Sequence
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
    dialogue: int = 0


def questions(dialogues: Sequence[Dialogue], *, instruction: str) -> list[Question]:
    """Every turn of the dialogues, after what the worker would show before it."""
    return [
        Question(tuple(before(dialogue, index, instruction=instruction)), exchange.text, exchange.reply, number)
        for number, dialogue in enumerate(dialogues)
        for index, exchange in enumerate(dialogue.exchanges)
    ]


def answers(
    model: Path,
    asked: Mapping[int, Question],
    *,
    instruction: str,
    reply_tokens: int,
    seed: int,
    adapter: Path | None = None,
) -> Iterator[tuple[int, str]]:
    """The number of a question and a reply to it, as they come.

    The same seed and machine give the same replies only one at a time.
    """
    if not asked:
        return
    import torch

    torch.manual_seed(seed)
    changes = {"model": str(model), "adapter": str(adapter) if adapter else None, "instruction": instruction}
    settings = WorkerSettings.read().model_copy(update=changes)
    engine = Batched(lambda: assemble(settings, capacity=_AT_ONCE), capacity=_AT_ONCE)
    engine.start()

    def answer(number: int) -> tuple[int, str]:
        one = asked[number]
        request = Request(
            id=str(number),
            instruction=instruction,
            history=one.history,
            text=one.text,
            max_tokens=reply_tokens,
            deadline_seconds=_SECONDS,
        )
        return number, [progress.text for progress in engine.stream(request)][-1]

    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(answer, asked)
    finally:
        engine.stop()
