"""One request on its way through the model."""

import time
from dataclasses import dataclass, field

from worker.engine.mailbox import Mailbox
from worker.engine.port import Finish, Progress
from worker.engine.schedule import TokenSequence
from worker.engine.text import ReplyText
from worker.tokenizer import Decoder


@dataclass(slots=True, eq=False, kw_only=True)
class ActiveRequest:
    """A request's ids, its text so far, and where its asker waits. Only the model's thread changes it."""

    request_id: str
    sequence: TokenSequence
    prompt_tokens: int
    decoder: Decoder
    mailbox: Mailbox
    text: ReplyText = field(default_factory=ReplyText)
    failures: int = 0
    arrived_at: float = field(default_factory=time.monotonic)

    def say(self, token: int) -> None:
        """Append a token of the reply."""
        self.sequence.tokens.append(token)
        self.text.add(self.decoder.push(token))

    def progress(self, finish: Finish | None) -> Progress:
        """What the asker may see of the reply so far."""
        return Progress(
            text=self.text.shown() if finish is None else self.text.whole(),
            prompt_tokens=self.prompt_tokens,
            reply_tokens=len(self.sequence.tokens) - self.prompt_tokens,
            finish=finish,
        )
