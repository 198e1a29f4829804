"""How far an account was pulled, and the page behind it that is asked for before its notice is committed."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from bot.channels.wecom.api import PulledPage
from dialogue.core.cursors import Pull
from dialogue.errors import DatabaseUnavailable, EnvironmentFault


@dataclass(slots=True, kw_only=True)
class PullPosition:
    """Everything before `cursor` is stored, and the database knows so of `saved`; None before the first page.

    What was asked for covers the first `notice_count` notices.
    """

    account: str
    first_seen_at: datetime
    cursor: str | None
    saved: str | None
    notice_count: int
    token: str = ""

    @classmethod
    def of(cls, pull: Pull) -> Self:
        return cls(
            account=pull.account,
            first_seen_at=pull.first_seen_at,
            cursor=pull.cursor,
            saved=pull.cursor,
            notice_count=pull.notice_count,
            token=pull.token,
        )

    def is_left_at(self, pull: Pull) -> bool:
        """Whether nobody else has pulled since."""
        return pull.cursor == self.saved

    def is_next(self, pull: Pull) -> bool:
        """Whether nobody else was noticed since: their message may be younger than a page that was asked for before."""
        return pull.notice_count == self.notice_count + 1


class EarlyPage:
    """A page that was asked for when its notice came, before it was known whether it is ours to take."""

    def __init__(self, after: PullPosition, token: str, page: asyncio.Task[PulledPage]) -> None:
        self.after = after
        self.token = token
        self.page = page
        self._is_noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        page.add_done_callback(_look_at)

    async def is_noted_within(self, seconds: float) -> bool:
        """Whether the notice is committed by then; raises `EnvironmentFault` if it could not be."""
        await asyncio.wait({self._is_noted}, timeout=seconds)
        if not self._is_noted.done():
            return False
        self._is_noted.result()
        return True

    def noted(self) -> None:
        if not self._is_noted.done():
            self._is_noted.set_result(None)

    def not_noted(self, error: BaseException) -> None:
        """It must come again."""
        if not self._is_noted.done():
            self._is_noted.set_exception(error if isinstance(error, EnvironmentFault) else DatabaseUnavailable())
            self._is_noted.exception()  # whoever posted it may be gone


def _look_at(page: asyncio.Task[PulledPage]) -> None:
    """An error of a page that nobody takes is nobody's."""
    if not page.cancelled():
        page.exception()
