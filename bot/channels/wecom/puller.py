"""Pulls what came: one round per account at a time, in one process at a time (`bot.channels.wecom.pull_round`).

A round begins with a notice, at the start, and every few minutes without one: a notice that was lost costs minutes,
never a message.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from bot.channels.tencent.errors import ApiError, Unreachable
from bot.channels.wecom.api import Api
from bot.channels.wecom.early_page import EarlyPage, PullPosition
from bot.channels.wecom.errors import ACCOUNT_LOST
from bot.channels.wecom.intake import Intake
from bot.channels.wecom.pull_round import PullRound
from bot.channels.wecom.records import Records
from bot.channels.wecom.trouble import Trouble
from bot.health import Health
from dialogue.errors import EnvironmentFault
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_SECONDS = 1.0
_WORDS_SECONDS = 0.3
"""Words that take longer to store, as those of a person whose row is locked, do not keep their notice waiting."""
_MAX_BACK_OFF_SECONDS = 30.0
_MAX_AWAY_SECONDS = 1.0
"""While the database or the platform is away: what was said meanwhile may be a cry for help."""
_FIRST_BACK_OFF_SECONDS = 0.5


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
        self._accounts = accounts
        self._trouble = trouble
        self._health = health
        self._stopping = stopping
        self._every = timedelta(seconds=every_seconds)
        self._new_round = partial(PullRound, api, records, intake, on_page=self._took_page, stopping=stopping)
        self._rounds: dict[str, PullRound] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, PullPosition] = {}
        self._failed: set[str] = set()
        """Where something may have come that no row tells of."""
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    async def notice(self, account: str, pull_token: str) -> None:
        """Commit that something came there, and pull it; raises `EnvironmentFault`, and pulls when it is mended."""
        early = self._begin_early(account, pull_token)
        if early is not None and await early.is_noted_within(_WORDS_SECONDS):
            return
        try:
            await self._records.notice(account, pull_token)
        finally:
            self.wake(account)

    def wake(self, account: str) -> None:
        """Something came there."""
        self._not_before.pop(account, None)
        if account in self._rounds:
            self._rounds[account].wake()
        elif account in self._accounts() and not self._stopping.is_set():
            self._begin(account)

    async def run(self) -> None:
        """Until `stopping`; the pages under way are finished."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not stopping.done():
                await self._look()
                await asyncio.wait({stopping}, timeout=min(_LOOK_SECONDS, self._every.total_seconds()))
            for pulling in self._rounds.values():
                pulling.end_rest()
            if self._tasks:
                await asyncio.wait(self._tasks.values())
        finally:
            await end_tasks([stopping, *self._tasks.values()])

    def _begin_early(self, account: str, pull_token: str) -> EarlyPage | None:
        """Ask for what follows our own last page, and have it taken; None while that cannot be known."""
        if account not in self._accounts() or self._stopping.is_set():
            return None
        running = self._rounds.get(account)
        after = self._ends.pop(account, None) if running is None else running.resting
        if after is None:
            return None
        self._not_before.pop(account, None)
        page = asyncio.create_task(self._api.pull(account, cursor=after.cursor, token=pull_token))
        early = EarlyPage(after, pull_token, page)
        if running is None:
            self._begin(account, early)
        return early if running is None or running.take(early) else None

    async def _look(self) -> None:
        try:
            due = await self._records.due(self._accounts(), every=self._every)
        except EnvironmentFault as error:
            log.warning("wecom_cursors_not_read", error=str(error))
            return
        now = asyncio.get_running_loop().time()
        for account in {*due, *self._failed}:
            if account not in self._rounds and self._not_before.get(account, 0) <= now:
                self._begin(account)

    def _begin(self, account: str, early: EarlyPage | None = None) -> None:
        self._ends.pop(account, None)
        self._failed.discard(account)
        self._rounds[account] = pulling = self._new_round()
        task = self._tasks[account] = asyncio.create_task(self._pull_all(account, pulling, early))
        task.add_done_callback(lambda _: self._ended(account))

    def _ended(self, account: str) -> None:
        del self._tasks[account]
        pulled = self._rounds.pop(account)
        if pulled.ended is not None:
            self._ends[account] = pulled.ended
        if pulled.is_behind and account not in self._failed:
            self.wake(account)

    async def _pull_all(self, account: str, pulling: PullRound, early: EarlyPage | None) -> None:
        """Rounds, until nothing new was noticed."""
        try:
            if early is not None:
                await pulling.run(early)
            pulling.is_behind |= early is None
            while pulling.is_behind and not self._stopping.is_set():
                pulling.is_behind = False
                pull = await self._records.lease(account)
                if pull is not None:  # else the process that has it looks again when it is done
                    await pulling.run(PullPosition.of(pull))
        except Exception as error:  # noqa: BLE001 - the outermost loop: the next round may succeed
            self._back_off(account, error)
        else:
            self._failures.pop(account, None)

    def _took_page(self, position: PullPosition, item_count: int) -> None:
        self._trouble.pulled(position.account, item_count=item_count, has_notice=bool(position.token))
        self._health.heard()

    def _back_off(self, account: str, error: Exception) -> None:
        self._failed.add(account)
        self._failures[account] = count = self._failures.get(account, 0) + 1
        longest = _MAX_AWAY_SECONDS if isinstance(error, EnvironmentFault | Unreachable) else _MAX_BACK_OFF_SECONDS
        seconds = min(_FIRST_BACK_OFF_SECONDS * 2 ** min(count - 1, 10), longest)
        self._not_before[account] = asyncio.get_running_loop().time() + seconds
        log.warning("wecom_pull_failed", error=type(error).__name__, code=getattr(error, "code", None), seconds=seconds)
        if isinstance(error, ApiError):
            self._trouble.refused(error, account=account if error.code in ACCOUNT_LOST else "")
