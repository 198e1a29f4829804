"""What a push is answered with: nothing but thanks, words for the person, or silence until the platform asks again."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.channels.oa.exchanges import PUSHES, Exchanges, OfferedWords, PushExchange
from bot.channels.oa.intake import OaIntake
from bot.channels.oa.reading import key_of, person_in
from bot.channels.oa.replying import ReplyingMode
from bot.outgoing.measure import Measure

PASSIVE_SECONDS = (4.3, 4.3, 4.0)
"""How long each push of a message may wait for words: the platform hangs up after five."""
_EVENT_SECONDS = 1.5
"""For words that are ready at once; later ones are sent."""
_QUIET_SECONDS = 1.0
"""Where no words are expected, what is still owed may be said."""
_STORE_SECONDS = 4.5
_MAX_BYTES = 2048
_BETWEEN = "\n\n"

Say = Callable[[str, str | None], str]
"""A text of the channel by its key, in a person's language."""


class Thanks:
    """The push was taken, and nothing is said."""


class Silence:
    """No answer, until the platform hangs up: it asks again."""


@dataclass(frozen=True, slots=True)
class Saying:
    """Words for the person. Whoever owes them is told whether they left."""

    said: str = field(repr=False)
    exchange: PushExchange
    owed: OfferedWords | None = None

    def left(self) -> None:
        if self.owed is not None:
            self.exchange.has_said(self.owed, self.said)

    def never_left(self) -> None:
        if self.owed is not None:
            self.exchange.say_elsewhere(self.owed)


Answer = Thanks | Silence | Saying


class PushDesk:
    """Of one account."""

    def __init__(self, intake: OaIntake, exchanges: Exchanges, *, mode: ReplyingMode, say: Say) -> None:
        self._intake = intake
        self._exchanges = exchanges
        self._mode = mode
        self._say = say

    async def take(self, fields: Mapping[str, str], hung_up: asyncio.Event) -> Answer:
        """Commit it, and answer; raises `EnvironmentFault`, `TimeoutError` and what else broke on the way."""
        if not self._mode.is_passive and fields.get("MsgType") != "event":
            async with asyncio.timeout(_STORE_SECONDS):
                await self._intake.take(fields)
            return Thanks()
        began_at = time.monotonic()
        exchange = self._exchanges.begin(person_in(fields), key_of(fields))
        number, listener = exchange.pushes, exchange.listen()
        try:
            await self._store_once(fields, exchange)
            seconds = self._patience(exchange, number) - (time.monotonic() - began_at)
            words = None if exchange.is_answered and not listener.has_words else await listener.words(seconds, hung_up)
            if words is None or hung_up.is_set():
                listener.close()
                return self._without_words(exchange, number)
            return self._saying(exchange, words)
        except BaseException:
            listener.close()
            raise

    async def _store_once(self, fields: Mapping[str, str], exchange: PushExchange) -> None:
        async with asyncio.timeout(_STORE_SECONDS), exchange.storing:
            if not exchange.is_stored:
                expected = await self._intake.take(fields)
                exchange.was_stored(
                    has_words=expected.has_words,
                    turn_id=expected.turn_id,
                    language=expected.language,
                    is_resumed=expected.is_repeat,
                )

    def _patience(self, exchange: PushExchange, number: int) -> float:
        if not self._mode.is_passive:
            return _EVENT_SECONDS if exchange.has_words else 0.0
        return PASSIVE_SECONDS[min(number, PUSHES) - 1] if exchange.has_words else _QUIET_SECONDS

    def _saying(self, exchange: PushExchange, words: OfferedWords) -> Saying:
        """What was owed from before comes first: then the person is told that they are being answered."""
        said = words.text.text
        if self._mode.is_passive and exchange.turn_id is not None and words.text.turn_id != exchange.turn_id:
            longer = said + _BETWEEN + self._say("passive_more_comes", exchange.language)
            said = longer if Measure.UTF8.of(longer) <= _MAX_BYTES else said
        return Saying(said, exchange, words)

    def _without_words(self, exchange: PushExchange, number: int) -> Answer:
        if exchange.is_answered:
            return Saying(exchange.said_again, exchange) if exchange.said_again is not None else Thanks()
        if self._mode.is_passive and exchange.has_words and number < PUSHES and not exchange.is_resumed:
            return Silence()
        exchange.is_answered = True
        if not self._mode.is_passive or exchange.turn_id is None:
            return Thanks()
        return Saying(self._say("passive_still_thinking", exchange.language), exchange)
