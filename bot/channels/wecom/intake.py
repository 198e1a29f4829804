"""Takes a page of what was pulled: each person's part in its order, different people's side by side.

A page is taken when everything on it is committed. Without the database the same thing is tried again; what breaks over
one message is tried a few times, then it is kept for staff and the others go on.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy.orm import Session
from tenacity import AsyncRetrying, retry_if_exception_type, stop_when_event_set, wait_exponential

from bot.channels.wecom import menus
from bot.channels.wecom.chat import WecomChat
from bot.channels.wecom.colleagues import Colleagues
from bot.channels.wecom.early_page import PullPosition
from bot.channels.wecom.manifest import MANIFEST
from bot.channels.wecom.media import media_in
from bot.channels.wecom.reading import (
    DutyChanged,
    Entered,
    Happened,
    HumanEnded,
    HumanSpeaks,
    Ignored,
    NotDelivered,
    Recalled,
    Showed,
    Wrote,
    person_of,
    read,
)
from bot.channels.wecom.records import LeaseNotOurs
from bot.channels.wecom.welcome import WelcomeCodes
from bot.services import BotServices
from dialogue.core import commands, intake
from dialogue.core.unparsed import Unparsed
from dialogue.errors import EnvironmentFault
from dialogue.messages import Allowance, InboundMessage
from dialogue.storage.clock import Clock, utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FIRST_BACK_OFF_SECONDS = 0.2
_MAX_BACK_OFF_SECONDS = 1.0  # somebody in danger may be writing
_MAX_TRIES = 3
"""Before one message is passed over that raises what nobody expected."""


class Intake:
    """The way in of all accounts."""

    def __init__(
        self,
        services: BotServices,
        *,
        colleagues: Colleagues,
        welcomes: WelcomeCodes,
        stopping: asyncio.Event,
        clock: Clock = utc_now,
    ) -> None:
        self._inbox = services.inbox
        self._bounces = services.bounces
        self._colleagues = colleagues
        self._welcomes = welcomes
        self._stopping = stopping
        self._clock = clock

    async def take_words(
        self, item: Mapping[str, Any], at: PullPosition, *, with_them: Callable[[Session], None]
    ) -> bool:
        """Commit words together with something; False if that is refused, and where it is not simply words.

        Raises `EnvironmentFault`.
        """
        try:
            happened = read(item, at.account)
            if not isinstance(happened, Wrote) or happened.menu_id:
                return False
            await self._inbox.receive(self._message(happened, at), with_it=with_them)
        except EnvironmentFault:
            raise
        except LeaseNotOurs:
            return False
        except Exception as error:  # noqa: BLE001 - it is tried again, and kept for staff if it breaks once more
            log.error("wecom_message_failed", attempt=0, error=type(error).__name__)  # noqa: TRY400 - may hold texts
            return False
        return True

    async def take(self, items: Sequence[Mapping[str, Any]], at: PullPosition) -> None:
        """Commit a page; raises `EnvironmentFault` only when the adapter is stopping."""
        by_person: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for item in items:
            by_person[person_of(item)].append(item)
        results = await asyncio.gather(
            *(self._take_in_order(part, at) for part in by_person.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _take_in_order(self, items: Sequence[Mapping[str, Any]], at: PullPosition) -> None:
        for item in items:
            await self._take_one(item, at)

    async def _take_one(self, item: Mapping[str, Any], at: PullPosition) -> None:
        for attempt in range(1, _MAX_TRIES + 1):
            failure: Exception
            try:
                happened = read(item, at.account)
                await self._insist(lambda happened=happened: self._handle(happened, at))  # type: ignore[misc]  # a default binds it
            except EnvironmentFault:
                raise
            except Exception as error:  # noqa: BLE001 - what breaks over one message must not stop the others
                failure = error
                log.error("wecom_message_failed", attempt=attempt, error=type(error).__name__)  # noqa: TRY400 - may hold texts
            else:
                return
        await self._insist(partial(self._inbox.set_aside, _unparsed(item, failure)))

    async def _insist(self, act: Callable[[], Awaitable[None]]) -> None:
        with suppress(EnvironmentFault):  # the first try without tenacity, which takes half a millisecond
            await act()
            return
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(EnvironmentFault),
            wait=wait_exponential(multiplier=_FIRST_BACK_OFF_SECONDS, max=_MAX_BACK_OFF_SECONDS),
            stop=stop_when_event_set(self._stopping),  # type: ignore[arg-type]  # only `is_set` is called
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                await act()

    async def _handle(self, happened: Happened, at: PullPosition) -> None:
        match happened:
            case Wrote():
                await self._hear(happened, self._message(happened, at))
            case Showed():
                await self._inbox.excuse(self._message(happened, at))
            case Entered():
                await self._welcome(happened)
            case NotDelivered():
                await self._note_failure(happened)
            case HumanSpeaks(chat=chat, servicer=servicer):
                await self._colleagues.speaks(chat, servicer, since=happened.at)
            case HumanEnded(chat=chat):
                await self._colleagues.ended(chat, since=happened.at)
            case Recalled(chat=chat, message_id=message_id):
                about = _about(chat, message_id="", sent_at=happened.at)
                await self._inbox.recall(about, original_id=message_id)
            case DutyChanged():
                self._colleagues.look_again()
            case Ignored(reason=reason):
                log.debug("wecom_ignored", reason=reason)

    async def _hear(self, wrote: Wrote, message: InboundMessage) -> None:
        """A choice in a menu is a message for WeCom: it renews what may be sent, whatever it is for us."""
        if (answer := menus.read_consent(wrote.menu_id)) is not None:
            receipt = await self._inbox.choose(replace(message, text=""), answer)
            if receipt.is_repeat:
                await self._inbox.renew(message)
        elif (rated := menus.read_rating(wrote.menu_id)) is not None:
            turn_id, value = rated
            await self._inbox.rate(message.address.channel, message.user_id, turn_id, value)
            await self._inbox.renew(message)
        else:
            await self._inbox.receive(message)

    async def _welcome(self, entered: Entered) -> None:
        """Whoever enters for the first time is asked for consent at once; the label of their link is noted."""
        chat, is_in_time = entered.chat, self._clock() < entered.until
        link = f"/start {entered.scene}" if commands.source_label(f"/start {entered.scene}") else "/start"
        message = _about(chat, message_id=entered.message_id, sent_at=entered.at, text=link)
        if entered.welcome_code and is_in_time:
            self._welcomes.keep(chat, entered.welcome_code, until=entered.until)
            allowance = Allowance(sends=1, until=entered.until, has_colleagues=MANIFEST.capabilities.colleagues)
            await self._inbox.receive(replace(message, allowance=allowance))
        elif (label := commands.source_label(link)) is not None:
            await self._inbox.refer(message, label=label)

    async def _note_failure(self, failed: NotDelivered) -> None:
        if failed.delivery_id is not None:
            await self._bounces.report(failed.delivery_id, reason=failed.reason)
        if failed.is_refused_by_person:
            await self._inbox.leave(failed.chat.address)

    def _message(self, said: Wrote | Showed, at: PullPosition) -> InboundMessage:
        return InboundMessage(
            address=said.chat.address,
            account=said.chat.account,
            user_id=said.chat.person,
            external_id=said.message_id,
            text=said.text if isinstance(said, Wrote) else "",
            forwarded=said.forwarded if isinstance(said, Wrote) else "",
            beside=said.beside if isinstance(said, Showed) else "",
            shown_reference=said.medium if isinstance(said, Showed) else None,
            media=media_in(said.medium) if isinstance(said, Showed) and said.medium is not None else (),
            sent_at=said.sent_at,
            is_private=True,
            allowance=MANIFEST.capabilities.allowance(said.sent_at),
            is_late=said.sent_at < at.first_seen_at - intake.LATE,
            can_hand_over=self._colleagues.are_on_duty(said.chat.account),
            is_kept=True,
        )


def _about(chat: WecomChat, *, message_id: str, sent_at: datetime, text: str = "") -> InboundMessage:
    """Something of a person that is no message of theirs."""
    return InboundMessage(
        address=chat.address,
        account=chat.account,
        user_id=chat.person,
        external_id=message_id,
        text=text,
        sent_at=sent_at,
        is_private=True,
    )


def _unparsed(item: Mapping[str, Any], failure: Exception) -> Unparsed:
    """For staff: an event has no id of its own, so that its content stands for it."""
    content = json.dumps(dict(item), ensure_ascii=False, sort_keys=True, default=str)
    return Unparsed(
        channel=MANIFEST.name,
        external_id=str(item.get("msgid") or hashlib.sha256(content.encode()).hexdigest()),
        user_id=person_of(item) or None,
        content=content,
        error=type(failure).__name__,
    )
