"""Messages that an answer may still be given to in the platform's own request, and the words for it.

The platform asks up to three times, five seconds apart, and takes one answer. Words are handed to one of its requests,
once; `OfferedWords.is_written` tells whether they left.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dialogue.messages import OwedText
from dialogue.states import URGENT_KINDS

PUSHES = 3
_BETWEEN_PUSHES_SECONDS = 6.0
_KEPT_SECONDS = 120.0


@dataclass(slots=True)
class OfferedWords:
    """What is to be answered. `is_written` becomes True once it left for the platform, False if it never did."""

    text: OwedText
    is_written: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, *, is_written: bool) -> None:
        if not self.is_written.done():
            self.is_written.set_result(is_written)


class PushExchange:
    """One message or event of a person, with all of the platform's requests for it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.pushes = 0
        self.storing = asyncio.Lock()
        self.is_stored = False
        self.is_resumed = False  # it came before, and nobody here knows how often
        self.has_words = False
        self.turn_id: UUID | None = None  # whose reply is waited for
        self.language: str | None = None
        self.is_answered = False
        self.said_again: str | None = None  # words that must arrive: for each request that comes for them
        self._clock = clock
        self._last_push_at = 0.0
        self._listeners: list[PushListener] = []

    @property
    def is_listening(self) -> bool:
        return bool(self._listeners) and not self.is_answered

    @property
    def comes_again(self) -> bool:
        """Whether the platform is likely to ask once more."""
        is_recent = self._clock() - self._last_push_at < _BETWEEN_PUSHES_SECONDS
        return not self.is_answered and 0 < self.pushes < PUSHES and is_recent and not self.is_resumed

    def begin_push(self) -> None:
        self.pushes += 1
        self._last_push_at = self._clock()

    def was_stored(
        self, *, has_words: bool, turn_id: UUID | None, language: str | None, is_resumed: bool = False
    ) -> None:
        """It is not taken again; what its person may be told soon, in their language.

        `is_resumed`: another process has stored it, so that this may be the last push.
        """
        self.is_stored = True
        self.is_resumed = is_resumed
        self.has_words = has_words
        self.turn_id = turn_id
        self.language = language

    def listen(self) -> "PushListener":
        """For one request; words may be offered from now on until it is closed."""
        listener = PushListener(self)
        self._listeners.append(listener)
        return listener

    def stop_listening(self, listener: "PushListener") -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def offer(self, text: OwedText) -> OfferedWords:
        """Hand words to the request that came last, while one `is_listening`."""
        words = OfferedWords(text)
        self._listeners.pop().take(words)
        self.is_answered = True
        return words

    def say_elsewhere(self, words: OfferedWords) -> None:
        """They never left: another request may say them."""
        self.is_answered = False
        words.settle(is_written=False)

    def has_said(self, words: OfferedWords, said: str) -> None:
        """They left, as `said`."""
        if words.text.kind in URGENT_KINDS:
            self.said_again = said
        words.settle(is_written=True)


class PushListener:
    """One request of the platform's, for as long as it may be answered."""

    def __init__(self, exchange: PushExchange) -> None:
        self._exchange = exchange
        self._words: asyncio.Future[OfferedWords] = asyncio.get_running_loop().create_future()

    @property
    def has_words(self) -> bool:
        return self._words.done()

    def take(self, words: OfferedWords) -> None:
        self._words.set_result(words)

    async def words(self, seconds: float, hung_up: asyncio.Event) -> OfferedWords | None:
        """What is to be said, if anything comes in that time and before the platform has `hung_up`."""
        leaving = asyncio.create_task(hung_up.wait())
        waiting: set[asyncio.Future[Any]] = {self._words, leaving}
        await asyncio.wait(waiting, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        self._exchange.stop_listening(self)
        return self._words.result() if self._words.done() else None

    def close(self) -> None:
        """Nothing is said in this request; what was to be said may be said elsewhere."""
        self._exchange.stop_listening(self)
        if self._words.done() and not self._words.result().is_written.done():
            self._exchange.say_elsewhere(self._words.result())


class Exchanges:
    """Of one account; each is forgotten when no further request can come for it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_person: dict[str, dict[str, PushExchange]] = defaultdict(dict)
        self._begun: deque[tuple[float, str, str]] = deque()

    def begin(self, person: str, key: str) -> PushExchange:
        """That of an earlier push, or a new one."""
        self._forget_old()
        exchange = self._by_person[person].get(key)
        if exchange is None:
            exchange = self._by_person[person][key] = PushExchange(clock=self._clock)
            self._begun.append((self._clock(), person, key))
        exchange.begin_push()
        return exchange

    def listening(self, person: str) -> PushExchange | None:
        """The newest in which something can be said to that person now."""
        return next((one for one in self._of(person) if one.is_listening), None)

    def comes_again(self, person: str) -> bool:
        """Whether one is likely to open in a moment."""
        return any(one.comes_again for one in self._of(person))

    def _of(self, person: str) -> Iterator[PushExchange]:
        return reversed(list(self._by_person.get(person, {}).values()))

    def _forget_old(self) -> None:
        while self._begun and self._begun[0][0] < self._clock() - _KEPT_SECONDS:
            _, person, key = self._begun.popleft()
            del self._by_person[person][key]
            if not self._by_person[person]:
                del self._by_person[person]
