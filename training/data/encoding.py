"""Windows as ids, encoded as the worker encodes them, and whose words each id belongs to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from training.data.dialogue import Dialogue
from training.data.windows import Window, served, single
from training.vocabulary import ROUND
from worker.engine.port import Exchange
from worker.prompt import Piece, rounds
from worker.tokenizer import Tokenizer


class Part(IntEnum):
    """What an id belongs to."""

    GIVEN = 0  # never learned: prefix, or an exchange that another window teaches
    FRAME = 1
    CLIENT = 2
    REPLY = 3  # the supporter's words, and how they end


class Encoded(NamedTuple):
    """Ids of one window and the part of each."""

    ids: list[int]
    parts: list[int]


Render = Callable[[Sequence[Exchange], str], Iterable[Piece]]
"""From history and a person's words to the pieces of the prompt that the worker sends, instruction included."""

_PIECES = (Part.FRAME, Part.CLIENT, Part.FRAME, Part.REPLY)
"""Of one exchange, as `rounds` yields them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Renders and encodes windows; `end_id` ends a window's last reply.

    `instruction` is what the window counts (`dialogue.window`). `template` renders for a model with a chat template of
    its own; without it the prompt is the seed's, in ChatGLM2's rounds.
    """

    tokenizer: Tokenizer
    instruction: str
    end_id: int
    template: Render | None = None

    @property
    def is_framed(self) -> bool:
        """Whether the prompt's frame has ids of its own (our tokenizers); otherwise it is text, as in ChatGLM2."""
        return self.template is None and self.tokenizer.id_of(ROUND) is not None

    def encode(self, window: Window) -> Encoded:
        """A window with the end after its last reply; what comes before `window.first` is given.

        With a frame, earlier replies end as it goes on: with the first id of the next round. Without, only the last
        reply is learned, encoded apart from the prompt, as ChatGLM2 was trained.
        """
        return self._framed(window) if self.is_framed else self._plain(window)

    def _plain(self, window: Window) -> Encoded:
        *history, last = window.exchanges
        prompt, reply = self.prompt(history, last.text), self.reply(last.reply)
        return Encoded([*prompt, *reply], [*[Part.GIVEN] * len(prompt), *[Part.REPLY] * len(reply)])

    def _framed(self, window: Window) -> Encoded:
        ids = self.tokenizer.prompt_ids(())
        parts: list[int] = [Part.GIVEN] * len(ids)
        for number, piece in enumerate(self._pieces(window.exchanges)):
            own = self.tokenizer.frame_ids(piece.text) if piece.is_frame else self.tokenizer.text_ids(piece.text)
            is_learned = number >= len(_PIECES) * window.first
            ids += own
            parts += [_PIECES[number % len(_PIECES)] if is_learned else Part.GIVEN] * len(own)
            if number % len(_PIECES) == 0 and number > len(_PIECES) * window.first:
                parts[-len(own)] = Part.REPLY
        return Encoded([*ids, self.end_id], [*parts, Part.REPLY])

    def cut(self, dialogue: Dialogue) -> Iterator[Window]:
        """The windows that the worker would show, in as few as this tokenizer allows."""
        windows = served if self.is_framed else single
        return windows(dialogue, instruction=self.instruction)

    def prompt(self, history: Sequence[Exchange], text: str) -> list[int]:
        """The prompt of the worker."""
        if self.template is not None:
            return self.tokenizer.prompt_ids(self.template(history, text))
        return self.tokenizer.prompt_ids(rounds(history, text, instruction=self.instruction))

    def reply(self, text: str) -> list[int]:
        """A whole reply, its end included."""
        return [*self.tokenizer.text_ids(text), self.end_id]

    def _pieces(self, exchanges: Sequence[Exchange]) -> Iterator[Piece]:
        *history, last = exchanges
        yield from rounds(history, last.text, instruction=self.instruction)
        yield Piece(last.reply, is_frame=False)
