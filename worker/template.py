"""Chat templates of other models, rendered as published, with frame and people's words kept apart."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from worker.engine.port import Exchange
from worker.prompt import Piece

_MARK = "\ue000{}\ue001"  # private-use characters, which neither people nor templates use
_MARKED = re.compile("\ue000([0-9]+)\ue001")


class ChatTemplate:
    """A Jinja template with the instruction as system message, or before the first message if it supports none."""

    def __init__(self, source: str, *, tokens: dict[str, str]) -> None:
        """`tokens` are the special tokens that the template may name (bos_token, eos_token …)."""
        self._source = source
        self._tokens = tokens

    def pieces(self, history: Sequence[Exchange], text: str, instruction: str) -> Iterator[Piece]:
        """The prompt up to where the reply begins."""
        said = [*(part for exchange in history for part in exchange), text]
        rendered = self._render([_MARK.format(number) for number in range(len(said))], instruction)
        parts = _MARKED.split(rendered)
        for frame, number in zip_longest(parts[::2], parts[1::2]):
            yield Piece(frame, is_frame=True)
            if number is not None:
                yield Piece(said[int(number)], is_frame=False)

    def _render(self, said: Sequence[str], instruction: str) -> str:
        from jinja2 import TemplateError

        roles = ("user", "assistant")
        messages = [{"role": roles[number % 2], "content": content} for number, content in enumerate(said)]
        if not instruction:
            return self._filled(messages)
        try:
            return self._filled([{"role": "system", "content": instruction}, *messages])
        except TemplateError:
            messages[0]["content"] = f"{instruction}\n\n{messages[0]['content']}"
            return self._filled(messages)

    def _filled(self, messages: list[dict[str, str]]) -> str:
        from transformers.utils import chat_template_utils

        library: Any = chat_template_utils
        rendered, _ = library.render_jinja_template(
            conversations=[messages],
            chat_template=self._source,
            add_generation_prompt=True,
            enable_thinking=False,  # reply without reasoning; other templates ignore it
            **self._tokens,
        )
        return str(rendered[0])
