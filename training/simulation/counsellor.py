"""The model that is evaluated, as the worker serves it: its engine, instruction, window and cleaner."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from care.screening import Tier, screen
from dialogue.window import window_of
from training.trouble import TrainingTrouble
from worker.engine.choose import build
from worker.engine.port import Engine, EngineError, Exchange, Request
from worker.instructions import Instructions
from worker.reply_cleaner import clean
from worker.settings import WorkerSettings

_SECONDS = 3600.0


class Served(NamedTuple):
    """Which model: a directory (with an adapter), or a server's; without any, the one that the settings name."""

    model: Path | None = None
    adapter: Path | None = None
    server: str | None = None
    server_model: str | None = None

    def settings(self, kept: WorkerSettings) -> WorkerSettings:
        """The worker's settings with this model."""
        if self.server is not None:
            return kept.model_copy(
                update={"engine": "openai", "openai_base_url": self.server, "openai_model": self.server_model}
            )
        if self.model is None:
            return kept
        changes = {"engine": "transformers", "model": str(self.model), "adapters": None}
        return kept.model_copy(update=changes | {"adapter": str(self.adapter) if self.adapter else None})


class Answering(Protocol):
    """Answers a seeker."""

    def reply(self, exchanges: Sequence[Exchange], text: str, *, request_id: str) -> str:
        """After these exchanges, to this text."""


class Counsellor:
    """Answers through a started engine. From the first danger on it is instructed as the worker instructs it then."""

    def __init__(self, engine: Engine, settings: WorkerSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._instructions = Instructions(
            written=settings.instruction if "instruction" in settings.model_fields_set else None
        )

    @property
    def model_version(self) -> str:
        """Names the weights."""
        return self._engine.model_version

    @property
    def prompt_version(self) -> str:
        """Names the prompt."""
        return self._engine.prompt_version

    def reply(self, exchanges: Sequence[Exchange], text: str, *, request_id: str) -> str:
        """After what the worker would show of the exchanges. Raises `TrainingTrouble` where the engine fails."""
        tier = max((screen(said).tier for said in (*(one.text for one in exchanges), text)), default=Tier.NONE)
        window = window_of(
            exchanges,
            instruction=self._settings.instruction,
            max_length=self._settings.window_max_length,
            max_turns=self._settings.window_max_turns,
        )
        request = Request(
            id=request_id,
            instruction=self._instructions.of(self._engine.prompt_version, tier=tier),
            history=window,
            text=text,
            max_tokens=self._settings.max_reply_tokens,
            deadline_seconds=_SECONDS,
            affinity=request_id.rpartition("-")[0],
        )
        try:
            *_, last = self._engine.stream(request)
        except EngineError as error:
            why = type(error).__name__
            raise TrainingTrouble(f"The model did not answer ({why}). --resume goes on later.") from error
        return clean(last.text, is_finished=True).text


def engine_of(served: Served, kept: WorkerSettings) -> tuple[Engine, WorkerSettings]:
    """An engine that is not started yet, and its settings."""
    settings = served.settings(kept)
    return build(settings), settings
