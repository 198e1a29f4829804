"""Colleagues who answer in the WeCom app: who is on duty, to whom a chat is given, when it is given back.

A chat that a colleague has (state 3) is silent for us. It is given to one only after our own words there are said: from
then on none may be. The database says who is to be given a colleague, so a crash forgets nobody.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from bot.channels.tencent.errors import ApiError, Unreachable
from bot.channels.wecom.api import Api
from bot.channels.wecom.chat import HOLDER, WecomChat
from bot.channels.wecom.errors import Code
from bot.channels.wecom.records import Records
from dialogue.errors import EnvironmentFault
from dialogue.messages import Address
from dialogue.storage.clock import Clock, utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()

QUEUED, WITH_COLLEAGUE, ENDED = 2, 3, 4
"""`service_state`; 0 is new and 1 is ours."""

_LOOK_SECONDS = 1.0
_DUTY_SECONDS = 300.0
_PATIENCE = timedelta(minutes=2)
"""So long a colleague is looked for before the admins are told that none was found."""
_POOL = "pool"


class Colleagues:
    """`servicers` are the user ids whom the operator named, in order; without any nobody can be given a chat by us."""

    def __init__(
        self,
        api: Api,
        records: Records,
        *,
        accounts: Callable[[], Sequence[str]],
        servicers: Sequence[str],
        clock: Clock = utc_now,
    ) -> None:
        self._api = api
        self._records = records
        self._accounts = accounts
        self._servicers = servicers
        self._clock = clock
        self._on_duty: dict[str, list[str]] = {}
        self._again = asyncio.Event()
        self._again.set()

    def are_on_duty(self, account: str) -> bool:
        """Whether a chat of that account can be given to somebody now."""
        return bool(self._on_duty.get(account))

    def look_again(self) -> None:
        """Somebody's duty has changed."""
        self._again.set()

    async def speaks(self, chat: WecomChat, servicer: str, *, since: datetime) -> None:
        """Raises `EnvironmentFault`, as all that follow."""
        await self._records.human_speaks(chat.address, holder=HOLDER + servicer, since=since)

    async def ended(self, chat: WecomChat, *, since: datetime) -> None:
        await self._records.human_ended(chat.address, since=since)

    async def follow(self, chat: WecomChat) -> int:
        """Ask who has the chat, and write it down; returns the state. Raises `ApiError`, `Unreachable` too."""
        state, servicer = await self._api.state(chat.account, chat.person)
        if state in (QUEUED, WITH_COLLEAGUE):
            await self.speaks(chat, servicer or _POOL, since=self._clock())
        else:
            await self.ended(chat, since=self._clock())
        return state

    async def run(self) -> None:
        """Give chats to colleagues, until cancelled."""
        while True:
            with suppress(ApiError, Unreachable, EnvironmentFault):
                for address, wanted_at in await self._records.wanting_humans():
                    await self._give(address, wanted_at)
            await asyncio.sleep(_LOOK_SECONDS)

    async def watch_duty(self) -> None:
        """Learn who is on duty and which chats they still have, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), _DUTY_SECONDS)
            self._again.clear()
            with suppress(ApiError, Unreachable, EnvironmentFault):
                await self.refresh()
                for address in await self._records.held_by_humans():  # an end of which we were not told
                    await self.follow(WecomChat.at(address))

    async def refresh(self) -> None:
        """Who of the named colleagues takes sessions of each account. Raises `ApiError`, `Unreachable`."""
        if not self._servicers:
            return
        for account in self._accounts():
            on_duty = set(await self._api.on_duty(account))
            self._on_duty[account] = [servicer for servicer in self._servicers if servicer in on_duty]

    async def _give(self, address: Address, wanted_at: datetime) -> None:
        chat = WecomChat.at(address)
        for servicer in self._on_duty.get(chat.account, []):
            try:
                await self._api.hand_over(chat.account, chat.person, servicer=servicer)
            except ApiError as error:
                log.warning("wecom_not_handed_over", code=error.code)
                if error.code == Code.SERVICER_NOT_ON_DUTY:
                    continue
                if error.code == Code.WRONG_CHANGE and await self.follow(chat) == WITH_COLLEAGUE:
                    return
                break
            await self.speaks(chat, servicer, since=self._clock())
            log.info("wecom_handed_over")
            return
        self._again.set()
        if self._clock() - wanted_at > _PATIENCE:
            await self._records.nobody_came(address)
