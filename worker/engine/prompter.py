"""From a request to the ids that the model reads, within its context."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from worker.engine.port import Exchange, ModelUnusable, PromptTooLong, Request
from worker.model.examine import Examined
from worker.prompt import Piece, PromptStyle, rounds
from worker.template import ChatTemplate
from worker.tokenizer import Tokenizer, load_tokenizer

Render = Callable[[Sequence[Exchange], str, str], Iterable[Piece]]
"""From history, the person's message and the instruction to the pieces of a prompt."""

_ROUNDS_MARK = "[Round "
_MIN_REPLY_SHARE = 0.25
"""Share of the context that is always left for the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompter:
    """Renders and encodes; `context` is in tokens, prompt and reply together."""

    tokenizer: Tokenizer
    render: Render
    context: int
    version: str

    def ids(self, request: Request) -> list[int]:
        """The prompt's ids; the oldest exchanges except the first are dropped until it fits. Raises `PromptTooLong`."""
        return self._fitting(request)[0]

    def pair(self, request: Request) -> tuple[list[int], list[int]]:
        """The prompt's ids, and those of the same prompt with the last message left empty. Raises `PromptTooLong`."""
        ids, history = self._fitting(request)
        return ids, self.tokenizer.prompt_ids(self.render(history, "", request.instruction))

    def _fitting(self, request: Request) -> tuple[list[int], list[Exchange]]:
        room = self.context - min(max(request.max_tokens, 1), int(self.context * _MIN_REPLY_SHARE))
        history = list(request.history)
        while True:
            ids = self.tokenizer.prompt_ids(self.render(history, request.text, request.instruction))
            if len(ids) <= room:
                return ids, history
            if not history:
                raise PromptTooLong
            del history[1 if len(history) > 1 else 0]

    def within(self, tokens: int) -> "Prompter":
        """The same with a context of at most `tokens`."""
        return replace(self, context=min(self.context, tokens))


def build_prompter(examined: Examined, *, style: PromptStyle, vocabulary_size: int, context: int) -> Prompter:
    """ChatGLM2's rounds where the model was trained on them, otherwise its chat template. Raises `ModelUnusable`."""
    template = examined.chat_template or ""
    is_rounds = examined.is_chatglm2 or _ROUNDS_MARK in template
    if not is_rounds and not template:
        raise ModelUnusable(f"{examined.directory} has no chat template, so its prompt is unknown. Take a chat model.")
    tokenizer = load_tokenizer(examined.directory, has_prefix=is_rounds)
    if tokenizer.size > vocabulary_size:
        raise ModelUnusable(f"The tokenizer in {examined.directory} has more ids than the model; they are not a pair.")
    render: Render = ChatTemplate(template, tokens=_special_tokens(examined.directory)).pieces
    if is_rounds:
        render = partial(_rounds, style=style)
    return Prompter(
        tokenizer=tokenizer,
        render=render,
        context=context,
        version=f"rounds-{style}" if is_rounds else "template",
    )


def _rounds(history: Sequence[Exchange], text: str, instruction: str, *, style: PromptStyle) -> Iterator[Piece]:
    return rounds(history, text, instruction=instruction, style=style)


def _special_tokens(directory: Path) -> dict[str, str]:
    file = directory / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    named = {name: value for name, value in settings.items() if name.endswith("_token")}
    contents = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
    return {name: content for name, content in contents.items() if isinstance(content, str)}
