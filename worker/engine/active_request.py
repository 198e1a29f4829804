"""One request from its admission to its last token."""

import time
from dataclasses import dataclass, field

from worker.engine.output_collector import OutputCollector
from worker.engine.port import Finish, Progress
from worker.engine.schedule import TokenSequence
from worker.engine.text import ReplyText
from worker.tokenizer import Decoder


@dataclass(slots=True, eq=False, kw_only=True)
class ActiveRequest:
    """A request's sequence, its text so far, and where its output goes. Only the model's thread changes it."""

    request_id: str
    sequence: TokenSequence
    prompt_tokens: int
    decoder: Decoder
    collector: OutputCollector
    text: ReplyText = field(default_factory=ReplyText)
    failures: int = 0
    virtual_tokens: int = 0  # in front of the prompt
    arrived_at: float = field(default_factory=time.monotonic)

    @property
    def reply_tokens(self) -> int:
        """Tokens of the reply so far."""
        return len(self.sequence.tokens) - self.prompt_tokens - self.virtual_tokens

    def append(self, token: int) -> None:
        """Append a token of the reply."""
        self.sequence.append(token)
        self.text.add(self.decoder.push(token))

    def progress(self, finish: Finish | None) -> Progress:
        """The reply so far, without what may still turn out to be part of a stop marker."""
        return Progress(
            text=self.text.shown() if finish is None else self.text.whole(),
            prompt_tokens=self.prompt_tokens,
            reply_tokens=self.reply_tokens,
            finish=finish,
        )
