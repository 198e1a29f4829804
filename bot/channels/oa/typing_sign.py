"""The sign that we are typing, while a person waits for a reply. Best effort; it costs nothing of the budget.

https://developers.weixin.qq.com/doc/service/api/customer/message/api_typing.html: it lasts fifteen seconds, is not
taken again within them, and only within thirty seconds of what the person did last.
"""

import asyncio
import time
from contextlib import suppress

from bot.channels.oa.api import OaApi
from bot.channels.tencent.errors import ApiError, Unreachable
from dialogue.process.ending import end_tasks

_LASTS_SECONDS = 15.5
_SIGNS = 2
"""For each message: a third would come after the thirty seconds."""


class TypingSign:
    """Of one account."""

    def __init__(self, api: OaApi, *, lasts_seconds: float = _LASTS_SECONDS) -> None:
        self._api = api
        self._lasts_seconds = lasts_seconds
        self._running: dict[str, asyncio.Task[None]] = {}
        self._shown_until: dict[str, float] = {}

    def begin(self, person: str) -> None:
        """They wait for a reply."""
        self.end(person)
        task = self._running[person] = asyncio.create_task(self._show(person))
        task.add_done_callback(lambda _task: self._done(person, task))

    def end(self, person: str) -> None:
        """The reply is on its way; the platform takes the sign away by itself."""
        task = self._running.pop(person, None)
        if task is not None:
            task.cancel()

    def said(self, person: str) -> None:
        """A message has ended the sign that was shown."""
        self._shown_until.pop(person, None)

    async def close(self) -> None:
        running = list(self._running.values())
        self._running.clear()
        await end_tasks(running)

    async def _show(self, person: str) -> None:
        for _ in range(_SIGNS):
            await asyncio.sleep(max(0.0, self._shown_until.get(person, 0.0) - time.monotonic()))
            self._shown_until[person] = time.monotonic() + self._lasts_seconds
            with suppress(ApiError, Unreachable):
                await self._api.show_typing(person)

    def _done(self, person: str, task: asyncio.Task[None]) -> None:
        if self._running.get(person) is task:
            del self._running[person]
            self._shown_until.pop(person, None)
