"""One round of pulls of an account, under its lease: page by page, and the cursor is saved after the rows it covers.

Words that a notice announces wait for one transaction only: their page is asked for before the notice is committed, and
the notice and the lease are committed together with the first words on it. Where the page is slow, or begins with
something else, the notice is committed by itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from bot.channels.tencent.errors import ApiError
from bot.channels.wecom.api import Api, PulledPage
from bot.channels.wecom.early_page import EarlyPage, PullPosition
from bot.channels.wecom.errors import Code
from bot.channels.wecom.intake import Intake
from bot.channels.wecom.records import LEASE_SECONDS, Records
from dialogue.errors import EnvironmentFault
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PROLONG_SECONDS = LEASE_SECONDS / 4
_MAX_EMPTY_PAGES = 50
_EMPTY_PAUSE_SECONDS = 0.5
"""After that many empty pages in a row that promise more: another one is asked for only so often."""
_REST_SECONDS = 0.1
"""The last cursor is saved so long after what came: until then the answer needs the database more."""
_MAX_UNSAVED_SECONDS = 1.0
"""However much comes: what is pulled again after a crash costs time."""
_QUICK_PAGE_SECONDS = 0.05
"""A page that takes longer is not waited for before its notice is committed."""


class PullRound:
    """Begins with a lease, or with an `EarlyPage` that brings one."""

    def __init__(
        self,
        api: Api,
        records: Records,
        intake: Intake,
        *,
        on_page: Callable[[PullPosition, int], None],
        stopping: asyncio.Event,
    ) -> None:
        """`on_page` is told how many items each page had."""
        self._api = api
        self._records = records
        self._intake = intake
        self._on_page = on_page
        self._stopping = stopping
        self._news: asyncio.Future[EarlyPage | None] | None = None
        self._saved_at = 0.0
        self.is_behind = False
        """Whether something was noticed that the last page may not have had."""
        self.resting: PullPosition | None = None
        """Where everything is pulled, while it waits for a moment for something new."""
        self.ended: PullPosition | None = None
        """Where it ended, with everything pulled and saved."""

    def take(self, early: EarlyPage) -> bool:
        """Something new came while it is `resting`; False if it has just stopped."""
        return self._tell(early)

    def wake(self) -> None:
        """Something was noticed: pull once more."""
        self.is_behind = True
        self.end_rest()

    def end_rest(self) -> None:
        """Wait no longer for something new."""
        self._tell(None)

    async def run(self, begins: PullPosition | EarlyPage) -> None:
        """Until there is nothing new, or another process has the lease; in the end ours is given up.

        Raises `ApiError`, `Unreachable`, `EnvironmentFault`.
        """
        self.ended = None
        self._saved_at = _now()
        account = begins.account if isinstance(begins, PullPosition) else begins.after.account
        keeping = asyncio.create_task(self._keep(account))
        try:
            position = await self._to_the_end(begins)
            if position is not None:
                self.is_behind |= await self._records.finish(position)
                position.saved = position.cursor
                self.ended = position
        finally:
            await end_tasks((keeping,))  # one that went on would hold the lease for ever
            if self.ended is None:
                with suppress(EnvironmentFault):
                    await asyncio.shield(self._records.give_up(account))

    async def _to_the_end(self, begins: PullPosition | EarlyPage) -> PullPosition | None:
        """Where nothing more came for a moment; None if it had to stop before."""
        while True:
            self.is_behind = False
            position = await self._take(begins)
            if position is None:
                return None
            early = await self._rest(position)
            if early is None and not self.is_behind:
                return position
            begins = early or position

    async def _take(self, begins: PullPosition | EarlyPage) -> PullPosition | None:
        if isinstance(begins, PullPosition):
            return await self._take_pages(begins, None)
        begun = await self._begin_with(begins)
        return None if begun is None else await self._take_pages(*begun)

    async def _begin_with(self, early: EarlyPage) -> tuple[PullPosition, PulledPage | None] | None:
        """Commit the notice; returns where to go on, and what is left of the page. None without a lease."""
        try:
            begun = await self._with_its_first_words(early) or await self._by_itself(early)
        except BaseException as error:
            early.not_noted(error)
            raise
        early.noted()
        return begun

    async def _with_its_first_words(self, early: EarlyPage) -> tuple[PullPosition, PulledPage] | None:
        """None, and nothing is committed, if there are none yet or the lease is not ours."""
        await asyncio.wait({early.page}, timeout=_QUICK_PAGE_SECONDS)
        if not early.page.done() or early.page.exception() is not None:
            return None
        page, position = early.page.result(), early.after
        noting = self._records.noting(position, early.token)
        if not page.items or not await self._intake.take_words(page.items[0], position, with_them=noting):
            return None
        position.notice_count += 1
        position.token = early.token
        return position, replace(page, items=page.items[1:])

    async def _by_itself(self, early: EarlyPage) -> tuple[PullPosition, PulledPage | None] | None:
        position = early.after
        pull = await self._records.notice_and_lease(position.account, early.token)
        if pull is None:
            return None
        early.noted()
        if not position.is_left_at(pull):
            return PullPosition.of(pull), None
        is_next = position.is_next(pull)
        position.notice_count, position.token = pull.notice_count, pull.token
        return position, await self._asked_for(early) if is_next else None

    @staticmethod
    async def _asked_for(early: EarlyPage) -> PulledPage | None:
        """None if its token is refused."""
        try:
            return await early.page
        except ApiError as error:
            if error.code != Code.BAD_PULL_TOKEN:
                raise
        return None

    async def _take_pages(self, position: PullPosition, page: PulledPage | None) -> PullPosition | None:
        """To the last one; the cursor of each but that is saved at once. None if it stopped before."""
        empty_count = 0
        while True:
            page = page or await self._next_page(position)
            await self._intake.take(page.items, position)
            self._on_page(position, len(page.items))
            position.cursor = page.next_cursor
            if not page.has_more:
                is_saved = _now() - self._saved_at < _MAX_UNSAVED_SECONDS or await self._save(position)
                return position if is_saved else None
            if not await self._save(position) or self._stopping.is_set():
                return None
            empty_count = 0 if page.items else empty_count + 1
            if empty_count > _MAX_EMPTY_PAGES:
                await asyncio.sleep(_EMPTY_PAUSE_SECONDS)
            page = None

    async def _next_page(self, position: PullPosition) -> PulledPage:
        """A token that is refused is done without."""
        try:
            return await self._api.pull(position.account, cursor=position.cursor, token=position.token)
        except ApiError as error:
            if error.code != Code.BAD_PULL_TOKEN or not position.token:
                raise
        position.token = ""
        return await self._api.pull(position.account, cursor=position.cursor, token="")

    async def _save(self, position: PullPosition) -> bool:
        """False if another process has the lease by now."""
        if not await self._records.advance(position.account, position.cursor or ""):
            log.info("wecom_lease_lost", account=position.account)
            return False
        position.saved, self._saved_at = position.cursor, _now()
        return True

    async def _rest(self, position: PullPosition) -> EarlyPage | None:
        """For a moment, or until something new comes."""
        if self.is_behind or self._stopping.is_set():
            return None
        self._news = asyncio.get_running_loop().create_future()
        self.resting = position
        try:
            return await asyncio.wait_for(self._news, _REST_SECONDS)
        except TimeoutError:
            return None
        finally:
            self.resting = None

    def _tell(self, early: EarlyPage | None) -> bool:
        if self.resting is None or self._news is None or self._news.done():
            return False
        self.resting = None
        self._news.set_result(early)
        return True

    async def _keep(self, account: str) -> None:
        while True:
            await asyncio.sleep(_PROLONG_SECONDS)
            with suppress(EnvironmentFault):
                await self._records.prolong(account)


def _now() -> float:
    return asyncio.get_running_loop().time()
