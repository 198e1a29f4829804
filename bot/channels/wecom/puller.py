"""Pulls what came: one round per account at a time, in one process at a time, page by page.

The cursor is saved after the page that it covers is committed. A round begins with a notice, at the start, and every
few minutes without one: a notice that was lost costs minutes, never a message.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bot.channels.tencent.errors import ApiError, Unreachable
from bot.channels.wecom.api import Api, PulledPage
from bot.channels.wecom.errors import ACCOUNT_LOST, Code
from bot.channels.wecom.intake import Intake
from bot.channels.wecom.records import LEASE_SECONDS, Records
from bot.channels.wecom.trouble import Trouble
from bot.health import Health
from dialogue.core.cursors import Pull
from dialogue.errors import EnvironmentFault
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_SECONDS = 1.0
_PROLONG_SECONDS = LEASE_SECONDS / 4
_MAX_BACK_OFF_SECONDS = 30.0
_MAX_AWAY_SECONDS = 1.0
"""While the database or the platform is away: what was said meanwhile may be a cry for help."""
_FIRST_BACK_OFF_SECONDS = 0.5
_MAX_EMPTY_PAGES = 50
_EMPTY_PAUSE_SECONDS = 0.5
"""After that many empty pages in a row that promise more: another one is asked for only so often."""
_LINGER_SECONDS = 0.02
"""The last cursor is saved so long after what came: a worker that takes it up at once needs the database more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEnd:
    """Where a round of ours ended."""

    cursor: str
    notice_count: int


@dataclass(frozen=True, slots=True)
class EarlyPage:
    """A page that was asked for before it was known whether it is ours to take."""

    after: RoundEnd
    page: asyncio.Task[PulledPage]

    def fits(self, pull: Pull) -> bool:
        """Whether nobody pulled or was noticed in between: their message may be younger than the page."""
        return pull.cursor == self.after.cursor and pull.notice_count == self.after.notice_count + 1


class Puller:
    """All accounts of one adapter."""

    def __init__(
        self,
        api: Api,
        records: Records,
        intake: Intake,
        *,
        accounts: Callable[[], Sequence[str]],
        trouble: Trouble,
        health: Health,
        stopping: asyncio.Event,
        every_seconds: float,
    ) -> None:
        """`every_seconds`: the longest that an account is not pulled without a notice."""
        self._api = api
        self._records = records
        self._intake = intake
        self._accounts = accounts
        self._trouble = trouble
        self._health = health
        self._stopping = stopping
        self._every = timedelta(seconds=every_seconds)
        self._rounds: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._failures: dict[str, int] = {}
        self._ends: dict[str, RoundEnd] = {}
        self._not_before: dict[str, float] = {}

    async def notice(self, account: str, pull_token: str) -> None:
        """Commit that something came there, and pull it; raises `EnvironmentFault`, and pulls when it is mended."""
        if account in self._rounds or account not in self._accounts() or self._stopping.is_set():
            try:
                await self._records.notice(account, pull_token)
            finally:
                self.wake(account)
            return
        ahead = self._ask_ahead(account, pull_token)
        try:
            pull = await self._records.notice_and_lease(account, pull_token)
        except EnvironmentFault:
            self.wake(account)
            raise
        self._not_before.pop(account, None)
        if account in self._rounds:
            self._again[account].set()
        elif pull is not None:
            self._begin(account, pull, ahead)

    def _ask_ahead(self, account: str, pull_token: str) -> EarlyPage | None:
        """Ask for what follows our own last page while the notice is committed."""
        end = self._ends.get(account)
        if end is None:
            return None
        page = asyncio.create_task(self._api.pull(account, cursor=end.cursor, token=pull_token))
        page.add_done_callback(_seen)
        return EarlyPage(end, page)

    def wake(self, account: str) -> None:
        """Something came there."""
        self._not_before.pop(account, None)
        if account in self._rounds:
            self._again[account].set()
        elif account in self._accounts() and not self._stopping.is_set():
            self._begin(account)

    async def run(self) -> None:
        """Until `stopping`; the pages under way are finished."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not stopping.done():
                await self._look()
                await asyncio.wait({stopping}, timeout=min(_LOOK_SECONDS, self._every.total_seconds()))
            if self._rounds:
                await asyncio.wait(self._rounds.values())
        finally:
            await end_tasks([stopping, *self._rounds.values()])

    async def _look(self) -> None:
        try:
            due = await self._records.due(self._accounts(), every=self._every)
        except EnvironmentFault as error:
            log.warning("wecom_cursors_not_read", error=str(error))
            return
        now = asyncio.get_running_loop().time()
        for account in due:
            if account not in self._rounds and self._not_before.get(account, 0) <= now:
                self._begin(account)

    def _begin(self, account: str, pull: Pull | None = None, ahead: EarlyPage | None = None) -> None:
        task = self._rounds[account] = asyncio.create_task(self._pull_all(account, pull, ahead))
        task.add_done_callback(lambda _: self._ended(account))

    def _ended(self, account: str) -> None:
        self._rounds.pop(account, None)
        if self._again[account].is_set():
            self._again[account].clear()
            self.wake(account)

    async def _pull_all(self, account: str, leased: Pull | None, ahead: EarlyPage | None) -> None:
        """Rounds, until nothing new was noticed; `leased` is the first, and `ahead` its first page, if it fits."""
        try:
            is_behind = leased is None or await self._round(leased, ahead)
            while is_behind and not self._stopping.is_set():
                self._again[account].clear()
                pull = await self._records.lease(account)
                # the process that has it looks again when it is done
                is_behind = pull is not None and await self._round(pull)
        except (ApiError, Unreachable, EnvironmentFault) as error:
            self._failed(account, error)
        except Exception as error:  # noqa: BLE001 - the outermost loop: the next round may succeed
            self._failed(account, error)
        else:
            self._failures.pop(account, None)

    async def _round(self, pull: Pull, ahead: EarlyPage | None = None) -> bool:
        """Pull one account to its end; whether there is something new by now."""
        keeping = asyncio.create_task(self._keep(pull.account))
        try:
            return await self._pages(pull, ahead)
        finally:
            await end_tasks((keeping,))  # one that went on would hold the lease for ever

    async def _pages(self, pull: Pull, ahead: EarlyPage | None) -> bool:
        """To the end, or until another process has the lease; whatever happens, the lease is given up."""
        is_finished = False
        try:
            cursor = await self._all_but_the_last(pull, ahead)
            if cursor is None:
                return False
            await self._linger(pull.account)
            is_behind = await self._records.finish(pull, cursor)
            is_finished = True
            self._ends[pull.account] = RoundEnd(cursor=cursor, notice_count=pull.notice_count)
            return is_behind or self._again[pull.account].is_set()
        finally:
            if not is_finished:
                with suppress(EnvironmentFault):
                    await asyncio.shield(self._records.give_up(pull.account))

    async def _linger(self, account: str) -> None:
        """Unless something new came meanwhile."""
        if not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._again[account].wait(), _LINGER_SECONDS)

    async def _all_but_the_last(self, pull: Pull, ahead: EarlyPage | None) -> str | None:
        """Take all pages, and save the cursor of each but the last; returns that one, None if it ended before."""
        cursor, empty_count, token = pull.cursor, 0, pull.token
        while True:
            page, token, ahead = *await self._page(pull, cursor, token, ahead), None
            await self._intake.take(page.items, pull)
            self._trouble.pulled(pull.account, item_count=len(page.items), has_notice=bool(pull.token))
            self._health.heard()
            cursor = page.next_cursor
            if not page.has_more:
                return cursor
            if not await self._records.advance(pull.account, cursor):
                log.info("wecom_lease_lost", account=pull.account)
                return None
            if self._stopping.is_set():
                return None
            empty_count = 0 if page.items else empty_count + 1
            if empty_count > _MAX_EMPTY_PAGES:
                await asyncio.sleep(_EMPTY_PAUSE_SECONDS)

    async def _page(
        self, pull: Pull, cursor: str | None, token: str, ahead: EarlyPage | None
    ) -> tuple[PulledPage, str]:
        """A token that is refused is done without."""
        try:
            if ahead is not None and ahead.fits(pull):
                return await ahead.page, token
            return await self._api.pull(pull.account, cursor=cursor, token=token), token
        except ApiError as error:
            if error.code != Code.BAD_PULL_TOKEN or not token:
                raise
        return await self._api.pull(pull.account, cursor=cursor, token=""), ""

    async def _keep(self, account: str) -> None:
        while True:
            await asyncio.sleep(_PROLONG_SECONDS)
            with suppress(EnvironmentFault):
                await self._records.prolong(account)

    def _failed(self, account: str, error: Exception) -> None:
        self._failures[account] = count = self._failures.get(account, 0) + 1
        longest = _MAX_AWAY_SECONDS if isinstance(error, EnvironmentFault | Unreachable) else _MAX_BACK_OFF_SECONDS
        seconds = min(_FIRST_BACK_OFF_SECONDS * 2 ** min(count - 1, 10), longest)
        self._not_before[account] = asyncio.get_running_loop().time() + seconds
        log.warning("wecom_pull_failed", error=type(error).__name__, code=getattr(error, "code", None), seconds=seconds)
        if isinstance(error, ApiError):
            self._trouble.refused(error, account=account if error.code in ACCOUNT_LOST else "")


def _seen(page: asyncio.Task[PulledPage]) -> None:
    """An error of a page that nobody takes is nobody's."""
    if not page.cancelled():
        page.exception()
