"""The port between the worker and whatever generates text.

An engine is shared by many threads: each calls `stream` for one turn and iterates; the engine batches them.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class Exchange(NamedTuple):
    """One earlier turn as the people said it, without the prompt's frame."""

    text: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One reply to be generated.

    `history` is the window (oldest first; its first exchange carries the instruction when it is rendered, or
    `text` does when there is no history). `deadline_seconds` counts from the call of `stream`.
    """

    id: str
    instruction: str
    history: Sequence[Exchange]
    text: str
    max_tokens: int
    deadline_seconds: float


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"  # the model was done
    LENGTH = "length"  # max_tokens or the model's context was used up


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The reply so far: whole characters only, cumulative, post-processed; `finish` is set on the last one."""

    text: str
    prompt_tokens: int
    reply_tokens: int
    finish: Finish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy the engine is; `wait_seconds` is a guess at how long a new conversation waits for its place."""

    running: int
    waiting: int
    wait_seconds: float = 0.0
    held_blocks: int = 0  # of the cache; what is only remembered does not count


class EngineError(Exception):
    """The engine could not generate this reply."""


class Cancelled(EngineError):
    """The generation was cancelled."""


class DeadlineExceeded(EngineError):
    """The reply was not finished within its deadline."""


class PromptTooLong(EngineError):
    """The person's words do not fit into the model's context, even without any history."""


class EngineFailed(EngineError):
    """The engine broke while it generated this reply; a second try may succeed."""


class ModelUnusable(Exception):
    """The model cannot be loaded; the message says what is wrong and what to do, for the operator."""


class ModelAway(ModelUnusable):
    """The model's server does not answer now; another start may find it."""


class Engine(Protocol):
    """Generates replies for many conversations at once."""

    @property
    def model_version(self) -> str:
        """Names the weights, for the conversation's record."""

    @property
    def prompt_version(self) -> str:
        """Names the way the prompt is rendered, for the conversation's record."""

    @property
    def capacity(self) -> int:
        """How many conversations are generated at once."""

    @property
    def load(self) -> Load:
        """How busy it is now; answers at once."""

    def trouble(self) -> str | None:
        """Why only a new process can help; None while replies can be generated. Answers at once."""

    def start(self) -> None:
        """Load the model; raises `ModelUnusable`."""

    def stop(self) -> None:
        """Cancel what is left and release the model; returns when its threads have ended."""

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the growing reply, the finished one last; raises `EngineError`.

        Closing it early frees the request's place like `cancel`.
        """

    def cancel(self, request_id: str) -> None:
        """Make that request's `stream` raise `Cancelled` within one step; unknown ids are ignored."""
