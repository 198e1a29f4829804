"""The port between the worker and the engine that generates replies.

An engine is shared by many threads: each calls `stream` for one request and iterates; the engine batches them.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from prometheus_client import Metric


class Exchange(NamedTuple):
    """One earlier turn in the speakers' own words, without the prompt's frame."""

    text: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One reply to be generated.

    `history` is the window (oldest first; its first exchange carries the instruction when it is rendered, or
    `text` does when there is no history). `deadline_seconds` counts from the call of `stream`. Requests of the same
    `affinity` share a prefix, so they go to the same server where there are several. `avoided` are replies to it that
    were made already and may not be sent: an engine that chooses its replies takes another one.
    """

    id: str
    instruction: str
    history: Sequence[Exchange]
    text: str
    max_tokens: int
    deadline_seconds: float
    affinity: str = ""
    avoided: Sequence[str] = ()


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"  # the model ended the reply
    LENGTH = "length"  # max_tokens or the model's context is exhausted
    FILTERED = "filtered"  # the server's content filter broke it off


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The reply so far: whole characters only, cumulative, post-processed; `finish` is set on the last one."""

    text: str
    prompt_tokens: int
    reply_tokens: int
    finish: Finish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy the engine is, in requests; `wait_seconds` estimates how long a new one waits for its first step."""

    running: int
    waiting: int
    wait_seconds: float = 0.0
    held_blocks: int = 0  # of the cache, by running sequences; cached prefixes do not count


class EngineError(Exception):
    """The engine could not generate this reply."""


class Cancelled(EngineError):
    """The generation was cancelled."""


class DeadlineExceeded(EngineError):
    """The reply was not finished within its deadline."""


class PromptTooLong(EngineError):
    """The person's message does not fit into the model's context, even without any history."""


class EngineFailed(EngineError):
    """The engine failed while it generated this reply; a retry may succeed."""


class EngineAway(EngineError):
    """Nothing can be generated for the moment, whoever asks; nothing of this reply has been shown."""


class ModelUnusable(Exception):
    """The model cannot be loaded; the message says what is wrong and what to do, for the operator."""


class ModelServerUnavailable(ModelUnusable):
    """The model's server does not answer now; a later start may reach it."""


class Engine(Protocol):
    """Generates replies for many requests at once."""

    @property
    def model_version(self) -> str:
        """Names the weights, for the conversation's record."""

    @property
    def prompt_version(self) -> str:
        """Names the prompt format, for the conversation's record."""

    @property
    def capacity(self) -> int:
        """How many replies are generated at once."""

    @property
    def load(self) -> Load:
        """How busy it is now; answers at once."""

    def fatal_error(self) -> str | None:
        """Why only a new process can help; None while replies can be generated. Answers at once."""

    def is_ready(self) -> bool:
        """False while no reply can be generated, though that may pass by itself. Answers at once."""

    def start(self) -> None:
        """Load the model; raises `ModelUnusable`."""

    def stop(self) -> None:
        """Cancel open requests and release the model; returns when its threads have ended."""

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the reply as it grows, the finished one last; raises `EngineError`.

        Closing the generator early frees the request's slot like `cancel`.
        """

    def cancel(self, request_id: str) -> None:
        """Make that request's `stream` raise `Cancelled` within one step; unknown ids are ignored."""


@runtime_checkable
class ServesElsewhere(Protocol):
    """An engine whose work is done by other programs, which measure it themselves."""

    def metric_families(self) -> "Iterable[Metric]":
        """As of their last look; answers at once."""
