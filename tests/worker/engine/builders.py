"""Requests, and a machine without a model: its runner answers with fixed ids, slowly, wrongly or not at all."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker.engine.batched import Batched
from worker.engine.guidance import Guidance
from worker.engine.port import Progress, Request
from worker.engine.prompter import Prompter
from worker.engine.runner_input import RunnerInput
from worker.engine.step_loop import LoadedModel, ReplyChooser
from worker.model.find import BUNDLED
from worker.prompt import rounds
from worker.tokenizer import Tokenizer, load_tokenizer

STOP = 2
BLOCK_SIZE = 4


def request(text: str = "你好", **changes: object) -> Request:
    """A request with sensible fields but for `changes`."""
    values: dict[str, object] = {
        "id": "a",
        "instruction": "",
        "history": (),
        "text": text,
        "max_tokens": 20,
        "deadline_seconds": 10.0,
    }
    return Request(**(values | changes))  # type: ignore[arg-type]  # one builder for all fields


def bundled_tokenizer() -> Tokenizer:
    """The bundled model's."""
    return load_tokenizer(BUNDLED, has_prefix=True)


@dataclass
class FakeRunner:
    """Says the ids of `words` by turns, and stops where a sequence's length is a multiple of `stop_every`.

    Checks that no block is written by two sequences at once. `before` is called with each step and may raise or wait.
    """

    words: Sequence[int]
    stop_every: int = 10_000
    before: Callable[[Sequence[RunnerInput]], None] = lambda _inputs: None
    steps: list[list[RunnerInput]] = field(default_factory=list)
    resets: int = 0
    unusable: int = 0  # so many of the next answers are no number

    def run(self, inputs: Sequence[RunnerInput]) -> list[int | None]:
        """One answer for each work that asks for one."""
        self.before(inputs)
        self.steps.append(list(inputs))
        written = [work.blocks[place // BLOCK_SIZE] for work in inputs for place in _written(work)]
        assert len(written) == len(set(written))
        unconditional = {number + 1 for number, work in enumerate(inputs) if work.guidance is not None}
        return [
            self._answer(work) for number, work in enumerate(inputs) if work.needs_token and number not in unconditional
        ]

    def reset(self) -> None:
        """Counted."""
        self.resets += 1

    def _answer(self, work: RunnerInput) -> int | None:
        if self.unusable:
            self.unusable -= 1
            return None
        length = work.start + len(work.tokens)
        return self.words[length % len(self.words)] if length % self.stop_every else STOP


def _written(work: RunnerInput) -> set[int]:
    """The first place of each block that this work writes to."""
    places = range(work.start, work.start + len(work.tokens))
    return {place - place % BLOCK_SIZE for place in places}


def loaded_model(
    runner: FakeRunner,
    *,
    blocks: int = 256,
    step_tokens: int = 64,
    context: int = 512,
    guidance: float = 1.0,
    chooser: ReplyChooser | None = None,
) -> LoadedModel:
    """A machine that runs `runner`."""
    return LoadedModel(
        runner=runner,
        prompter=Prompter(
            tokenizer=bundled_tokenizer(),
            render=lambda history, text, instruction: rounds(history, text, instruction=instruction),
            context=min(context, blocks * BLOCK_SIZE),
            version="fake",
        ),
        stop_ids=frozenset({STOP}),
        model_version="fake",
        block_count=blocks,
        block_size=BLOCK_SIZE,
        step_tokens=step_tokens,
        guidance=Guidance(scale=guidance),
        chooser=chooser,
    )


def last(engine: Batched, asked: Request) -> Progress:
    """The finished reply."""
    return list(engine.stream(asked))[-1]


class Gate:
    """Holds the model's thread inside a step until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _inputs: Sequence[RunnerInput]) -> None:
        self.reached.set()
        assert self.opened.wait(5)


@contextmanager
def running(runner: FakeRunner, *, capacity: int = 4, guidance: float = 1.0, **sizes: int) -> Iterator[Batched]:
    engine = Batched(lambda: loaded_model(runner, guidance=guidance, chooser=None, **sizes), capacity=capacity)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@contextmanager
def asking(engine: Batched, **changes: object) -> Iterator["Future[Progress]"]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(last, engine, request(**changes))  # type: ignore[arg-type]  # fields of a request
