"""The codes by which a welcome may be said to somebody who has just entered: each once, for twenty seconds."""

from dataclasses import dataclass, replace
from datetime import datetime

from bot.channels.wecom.chat import WecomChat
from dialogue.storage.clock import Clock, utc_now

_MAX_CODES = 10_000


@dataclass(frozen=True, slots=True)
class _Code:
    code: str
    until: datetime
    is_used: bool = False


class WelcomeCodes:
    """Kept in memory: a restart takes longer than most of them last."""

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._codes: dict[WecomChat, _Code] = {}
        self._clock = clock

    def keep(self, chat: WecomChat, code: str, *, until: datetime) -> None:
        """An event may be told of again, when its code has been used."""
        if len(self._codes) >= _MAX_CODES:
            self._forget_old()
        known = self._codes.get(chat)
        if known is None or known.code != code:
            self._codes[chat] = _Code(code, until)

    def find(self, chat: WecomChat) -> str | None:
        """A code that may still be used."""
        kept = self._codes.get(chat)
        return kept.code if kept is not None and not kept.is_used and self._clock() < kept.until else None

    def use(self, chat: WecomChat) -> None:
        """It was used, or refused."""
        kept = self._codes.get(chat)
        if kept is not None:
            self._codes[chat] = replace(kept, is_used=True)

    def _forget_old(self) -> None:
        now = self._clock()
        self._codes = {chat: kept for chat, kept in self._codes.items() if now < kept.until}
