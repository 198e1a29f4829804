"""Requests side by side, and a group that gets a new id: what comes from there waits for what was said before.

Telegram sends the updates of one chat one after the other, but the old id and the new one are two chats to it:
somebody's first words there could be answered before their last words here are stored.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from bot.channels.telegram.raw_fields import Raw
from bot.channels.telegram.updates import move_in, order_key
from bot.incoming.chat_locks import PerChatLocks
from dialogue.errors import EnvironmentFault

_LONGEST_WAIT_SECONDS = 600.0
"""For an update that failed: Telegram repeats it sooner, or never."""


class EarlierUpdateWaits(EnvironmentFault):
    """What was said in this group before it got its new id cannot be stored yet."""


class MoveBarrier:
    """Of one process. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._order = PerChatLocks()
        self._group_of: dict[int, int] = {}  # both ids of a group that moved; its new one names it
        self._passing: Counter[int] = Counter()  # by group
        self._under_way: defaultdict[int, set[asyncio.Future[None]]] = defaultdict(set)  # by chat
        self._failed: dict[int, tuple[int, float]] = {}  # by update id: its chat, and when

    @asynccontextmanager
    async def passing(self, update: Raw, update_id: int) -> AsyncIterator[None]:
        """The update is taken in the block; it is repeated if the block raises. Raises `EarlierUpdateWaits`."""
        chat, _ = order_key(update)
        earlier = self._join(update)
        group = self._group_of.get(chat)
        done = asyncio.get_running_loop().create_future()
        self._under_way[chat].add(done)
        try:
            if group is None:
                async with self._remembered(update_id, chat):
                    yield
            else:
                async with self._in_order(group, earlier, update_id), self._remembered(update_id, chat):
                    yield
        finally:
            done.set_result(None)
            self._under_way[chat].discard(done)
            if not self._under_way[chat]:
                del self._under_way[chat]

    def _join(self, update: Raw) -> Collection[asyncio.Future[None]]:
        """From now on both ids are one; returns what is under way in either."""
        moved = move_in(update)
        if moved is None:
            return ()
        self._group_of |= {moved.before: moved.after, moved.after: moved.after}
        return [one for chat in (moved.before, moved.after) for one in self._under_way.get(chat, ())]

    @asynccontextmanager
    async def _in_order(
        self, group: int, earlier: Collection[asyncio.Future[None]], update_id: int
    ) -> AsyncIterator[None]:
        self._passing[group] += 1
        try:
            async with self._order.hold(group):
                if earlier:
                    await asyncio.wait(earlier)
                if any(failed < update_id for failed in self._failed_in(group)):
                    raise EarlierUpdateWaits
                yield
        finally:
            self._passing[group] -= 1
            self._part(group)

    def _part(self, group: int) -> None:
        """Once nothing of it is under way or will be repeated, its chats need no order any more."""
        if self._passing[group] or self._failed_in(group):
            return
        del self._passing[group]
        self._group_of = {chat: other for chat, other in self._group_of.items() if other != group}

    def _failed_in(self, group: int) -> list[int]:
        since = self._clock() - _LONGEST_WAIT_SECONDS
        self._failed = {update_id: failed for update_id, failed in self._failed.items() if failed[1] > since}
        chats = {chat for chat, other in self._group_of.items() if other == group}
        return [update_id for update_id, (chat, _) in self._failed.items() if chat in chats]

    @asynccontextmanager
    async def _remembered(self, update_id: int, chat: int) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            self._failed[update_id] = (chat, self._clock())
            raise
        self._failed.pop(update_id, None)
