"""What the adapter keeps in the database: notices, leases, cursors, and the chats that colleagues have."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import uuid4

from sqlalchemy.orm import Session

from bot.admission import URGENT
from bot.channels.wecom import CHANNEL
from bot.channels.wecom.early_page import PullPosition
from bot.services import BotServices
from dialogue.admin import platform_takeover
from dialogue.core import budgets, cursors
from dialogue.core.cursors import LastPull, Pull
from dialogue.messages import Address
from dialogue.storage.clock import Clock, utc_now

PULL_TOKEN_LASTS = timedelta(minutes=10)
LEASE_SECONDS = 6.0
"""A killed adapter holds an account up for no longer than that."""

T = TypeVar("T")


class LeaseNotOurs(Exception):
    """Another process pulls the account, or has pulled it since."""


class Records:
    """Every method is one transaction, and raises `DatabaseUnavailable`."""

    def __init__(self, services: BotServices, *, clock: Clock = utc_now) -> None:
        self._services = services
        self._clock = clock
        self._owner = uuid4()

    async def notice_and_lease(self, account: str, pull_token: str) -> Pull | None:
        """None while another process pulls."""
        return await self._write(
            lambda session, now: cursors.notice_and_lease(
                session,
                CHANNEL,
                account,
                token=pull_token,
                valid_for=PULL_TOKEN_LASTS,
                owner=self._owner,
                seconds=LEASE_SECONDS,
                now=now,
            )
        )

    def noting(self, position: PullPosition, pull_token: str) -> Callable[[Session], None]:
        """For the transaction of the first words behind `position`: the notice of them, and the lease.

        Raises `LeaseNotOurs`.
        """

        def note(session: Session) -> None:
            pull = cursors.notice_and_lease(
                session,
                CHANNEL,
                position.account,
                token=pull_token,
                valid_for=PULL_TOKEN_LASTS,
                owner=self._owner,
                seconds=LEASE_SECONDS,
                now=self._clock(),
            )
            if pull is None or not position.is_left_at(pull):
                raise LeaseNotOurs

        return note

    async def notice(self, account: str, pull_token: str) -> None:
        await self._write(
            lambda session, now: cursors.notice(
                session, CHANNEL, account, token=pull_token, valid_for=PULL_TOKEN_LASTS, now=now
            )
        )

    async def know(self, accounts: Sequence[str]) -> None:
        def write(session: Session, now: datetime) -> None:
            for account in accounts:
                cursors.know(session, CHANNEL, account, now=now)

        await self._write(write)

    async def due(self, accounts: Sequence[str], *, every: timedelta) -> list[str]:
        return await self._read(lambda session: cursors.due(session, CHANNEL, accounts, every=every, now=self._clock()))

    async def lease(self, account: str) -> Pull | None:
        return await self._write(
            lambda session, now: cursors.lease(
                session, CHANNEL, account, owner=self._owner, seconds=LEASE_SECONDS, now=now
            )
        )

    async def prolong(self, account: str) -> bool:
        return await self._write(
            lambda session, now: cursors.prolong(
                session, CHANNEL, account, owner=self._owner, seconds=LEASE_SECONDS, now=now
            )
        )

    async def advance(self, account: str, cursor: str) -> bool:
        return await self._write(
            lambda session, _now: cursors.advance(session, CHANNEL, account, owner=self._owner, cursor=cursor)
        )

    async def finish(self, position: PullPosition) -> bool:
        """The last page is stored too; whether another notice came meanwhile."""
        return await self._write(
            lambda session, now: cursors.finish(
                session,
                CHANNEL,
                position.account,
                owner=self._owner,
                cursor=position.cursor or None,
                notice_count=position.notice_count,
                now=now,
            ),
            is_hasty=True,  # a cursor that is forgotten costs repeats
        )

    async def give_up(self, account: str) -> None:
        await self._write(lambda session, _now: cursors.give_up(session, CHANNEL, account, owner=self._owner))

    async def last_pulls(self) -> list[LastPull]:
        return await self._read(lambda session: cursors.last_pulls(session, CHANNEL))

    async def human_speaks(self, address: Address, *, holder: str, since: datetime) -> None:
        """A colleague has the chat; crisis words that wait for them alarm the admins."""

        def write(session: Session, now: datetime) -> None:
            office = self._services.inbox.rules.office
            for held in platform_takeover.begin(session, office, address, holder=holder, since=since, now=now):
                self._services.crisis_alarms.held(session, CHANNEL, held, now=now)

        await self._write(write)

    async def human_ended(self, address: Address, *, since: datetime) -> None:
        office = self._services.inbox.rules.office
        await self._write(lambda session, now: platform_takeover.end(session, office, address, since=since, now=now))

    async def held_by_humans(self) -> list[Address]:
        return await self._read(lambda session: budgets.held_by_platform_humans(session, CHANNEL))

    async def wanting_humans(self) -> list[tuple[Address, datetime]]:
        return await self._read(lambda session: budgets.wanting_platform_humans(session, CHANNEL))

    async def nobody_came(self, address: Address) -> None:
        """No colleague could be given the chat: the admins are told."""
        office = self._services.inbox.rules.office
        await self._write(lambda session, now: platform_takeover.nobody_came(session, office, address, now=now))

    async def _write(self, act: Callable[[Session, datetime], T], *, is_hasty: bool = False) -> T:
        write = partial(self._in_transaction, act, is_hasty=is_hasty)
        return await self._services.executors.intake.run(write, priority=URGENT)

    async def _read(self, ask: Callable[[Session], T]) -> T:
        return await self._services.executors.intake.run(partial(self._in_reading, ask), priority=URGENT)

    def _in_transaction(self, act: Callable[[Session, datetime], T], *, is_hasty: bool) -> T:
        with self._services.database.begin(is_hasty=is_hasty) as session:
            return act(session, self._clock())

    def _in_reading(self, ask: Callable[[Session], T]) -> T:
        with self._services.database.read() as session:
            return ask(session)
