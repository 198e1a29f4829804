"""Telegram's flood control as it is known: per chat, per group and per bot, counted when a request arrives."""

from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class Flood:
    """None switches a limit off. `refused` counts the answers 429."""

    chat_seconds: float | None = None
    per_second: int | None = None
    group_per_minute: int | None = 20
    retry_after: int = 3
    refused: int = 0
    most_in_a_second: int = 0
    _by_chat: dict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _all: deque[float] = field(default_factory=deque)
    closed_until: dict[int, float] = field(default_factory=dict)

    def check(self, chat_id: int, now: float) -> int | None:
        """The `retry_after` of a refusal, or None; what is refused in a cooldown prolongs nothing."""
        until = self.closed_until.get(chat_id, 0)
        if now < until:
            self.refused += 1
            return max(1, round(until - now))
        if self._is_too_much(chat_id, now):
            self.refused += 1
            self.closed_until[chat_id] = now + self.retry_after
            return self.retry_after
        self._by_chat[chat_id].append(now)
        self._all.append(now)
        self.most_in_a_second = max(self.most_in_a_second, len(self._all))
        return None

    def _is_too_much(self, chat_id: int, now: float) -> bool:
        while self._all and self._all[0] <= now - 1:
            self._all.popleft()
        if self.per_second is not None and len(self._all) >= self.per_second:
            return True
        seen = self._by_chat[chat_id]
        while seen and seen[0] <= now - 60:
            seen.popleft()
        if chat_id < 0:
            return self.group_per_minute is not None and len(seen) >= self.group_per_minute
        return self.chat_seconds is not None and bool(seen) and now - seen[-1] < self.chat_seconds
