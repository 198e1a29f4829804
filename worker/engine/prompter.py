"""From a request to the ids that the model reads, within its context."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from worker.engine.port import Exchange, PromptTooLong, Request
from worker.prompt import Piece
from worker.tokenizer import Tokenizer

Render = Callable[[Sequence[Exchange], str, str], Iterable[Piece]]
"""History, the person's words and the instruction to the pieces of a prompt."""

_LEAST_REPLY = 0.25
"""The part of the context that a prompt may never take from the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompter:
    """Renders and encodes; `context` is in tokens, prompt and reply together."""

    tokenizer: Tokenizer
    render: Render
    context: int
    version: str

    def ids(self, request: Request) -> list[int]:
        """The prompt's ids; the oldest exchanges but the first go until it fits. Raises `PromptTooLong`."""
        room = self.context - min(max(request.max_tokens, 1), int(self.context * _LEAST_REPLY))
        history = list(request.history)
        while True:
            ids = self.tokenizer.prompt_ids(self.render(history, request.text, request.instruction))
            if len(ids) <= room:
                return ids
            if not history:
                raise PromptTooLong
            del history[1 if len(history) > 1 else 0]
