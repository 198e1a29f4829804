"""Takes one push: when `take` returns it is stored, and must not come again.

A person's pushes are taken in the order of their coming. A push that cannot be read is kept for staff at once, one over
which something unforeseen breaks when it comes for the last time.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import structlog

from bot.channels.oa import account_menu
from bot.channels.oa.consent_menu import ConsentMenu
from bot.channels.oa.exchanges import PUSHES
from bot.channels.oa.manifest import MANIFEST
from bot.channels.oa.media import media_in
from bot.channels.oa.reading import (
    Came,
    Clicked,
    Happened,
    Ignored,
    Push,
    Showed,
    Unfollowed,
    Wrote,
    key_of,
    person_in,
    read,
)
from bot.channels.oa.records import OaRecords
from bot.channels.oa.replying import ReplyingMode
from bot.incoming.chat_locks import PerChatLocks
from bot.incoming.inbox import Inbox
from bot.incoming.receipt import Receipt
from dialogue.core import commands
from dialogue.core.unparsed import Unparsed
from dialogue.errors import EnvironmentFault
from dialogue.messages import Address, Allowance, InboundMessage
from dialogue.storage.clock import Clock, utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_CLICK_SENDS = 3
_CLICK_LASTS = timedelta(minutes=1)
_PUSHES_LAST = timedelta(seconds=15)
_RATINGS = {"有帮助": 1, "👍": 1, "没帮助": -1, "没有帮助": -1, "👎": -1}
_GO_ON = frozenset({"1", "１", "继续", "繼續"})
"""What people are asked to write who are to hear the rest: no words of theirs, while there is a rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the person may be told soon; `turn_id` is whose reply is waited for. `is_repeat`: it was stored before."""

    has_words: bool = False
    turn_id: UUID | None = None
    language: str | None = None
    is_repeat: bool = False


NOTHING = Expected()


class OaIntake:
    """The way in of one account."""

    def __init__(
        self,
        inbox: Inbox,
        records: OaRecords,
        *,
        account: str,
        mode: ReplyingMode,
        consent_menu: ConsentMenu,
        on_awaited: Callable[[str], None] = lambda _person: None,
        clock: Clock = utc_now,
    ) -> None:
        """`account`: the app id, which every openid belongs to. `on_awaited`: a person waits for a reply."""
        self._inbox = inbox
        self._records = records
        self._account = account
        self._mode = mode
        self._consent_menu = consent_menu
        self._on_awaited = on_awaited
        self._clock = clock
        self._chat_locks = PerChatLocks()
        self._failures: Counter[str] = Counter()

    async def take(self, fields: Mapping[str, str]) -> Expected:
        """Raises `EnvironmentFault`, and whatever else breaks before the last push."""
        async with self._chat_locks.hold(person_in(fields)):
            try:
                happened = read(fields)
            except (KeyError, ValueError) as error:
                return await self._set_aside(fields, error)
            return await self._take(happened, fields)

    async def _take(self, happened: Happened, fields: Mapping[str, str]) -> Expected:
        try:
            expected = await self._handle(happened)
        except (EnvironmentFault, OSError, MemoryError):
            raise
        except Exception as error:
            self._failures[happened.key] += 1
            log.error("oa_push_failed", attempt=self._failures[happened.key], error=type(error).__name__)  # noqa: TRY400 - may hold texts
            if self._failures[happened.key] < PUSHES:
                raise
            del self._failures[happened.key]
            return await self._set_aside(fields, error)
        self._failures.pop(happened.key, None)
        return expected

    async def _handle(self, happened: Happened) -> Expected:
        match happened:
            case Wrote():
                return await self._hear(happened)
            case Showed():
                return _expected(await self._inbox.excuse(self._shown(happened)))
            case Came(label=label):
                link = f"/start {label}"
                text = link if commands.source_label(link) else "/start"
                return _expected(await self._inbox.receive(self._message(happened, text=text, is_click=True)))
            case Clicked(button=button):
                text = account_menu.command_of(button)
                return _expected(await self._inbox.receive(self._message(happened, text=text, is_click=True)))
            case Unfollowed():
                await self._inbox.leave(_address(happened.person))
            case Ignored(reason=reason):
                log.debug("oa_push_ignored", reason=reason)
        return NOTHING

    def _shown(self, showed: Showed) -> InboundMessage:
        message = self._message(showed)
        if showed.medium is None:
            return message
        return replace(message, shown_reference=showed.medium, media=media_in(showed.medium))

    async def _hear(self, wrote: Wrote) -> Expected:
        message = self._message(wrote, text=wrote.text, forwarded=wrote.forwarded, is_click=wrote.is_choice)
        if wrote.is_choice and (answer := self._consent_menu.answer(wrote.text)) is not None:
            return _expected(await self._inbox.choose(replace(message, text=""), answer))
        if self._mode.is_passive and wrote.text.strip() in _GO_ON and await self._goes_on(message):
            return Expected(has_words=True)
        rating = _RATINGS.get(wrote.text.strip())
        rated = await self._records.last_reply(message.address) if rating else None
        receipt = await self._inbox.receive(message)
        if rating and rated and not receipt.is_repeat:
            await self._inbox.rate(MANIFEST.name, message.user_id, rated, rating)
        if receipt.turn_id is not None and not receipt.is_repeat:
            self._on_awaited(message.user_id)
        if receipt.is_repeat and self._mode.is_passive:
            return await self._still_expected(message.address, receipt)
        return _expected(receipt)

    async def _still_expected(self, address: Address, receipt: Receipt) -> Expected:
        """A process that is gone, or another one, has stored it."""
        has_words = await self._records.waits_for_words(address)
        turn_id = await self._records.open_turn(address)
        return Expected(has_words=has_words, turn_id=turn_id, language=receipt.language, is_repeat=True)

    async def _goes_on(self, message: InboundMessage) -> bool:
        """Whether there is something that they ask for; it may be said now."""
        if not await self._records.waits_for_words(message.address):
            return False
        await self._inbox.renew(message)
        return True

    def _message(self, push: Push, *, text: str = "", forwarded: str = "", is_click: bool = False) -> InboundMessage:
        is_passive = self._mode.is_passive
        sent_at = self._clock() if is_passive else push.sent_at  # what left before it is told apart by one clock
        allowance: Allowance | None
        if is_passive:
            allowance = Allowance(sends=1, until=sent_at + _PUSHES_LAST, starts_anew=True)
        elif is_click:
            allowance = Allowance(sends=_CLICK_SENDS, until=sent_at + _CLICK_LASTS)
        else:
            allowance = MANIFEST.capabilities.allowance(sent_at)
        return InboundMessage(
            address=_address(push.person),
            account=self._account,
            user_id=push.person,
            external_id=push.key,
            text=text,
            forwarded=forwarded,
            sent_at=sent_at,
            is_private=True,
            allowance=allowance,
        )

    async def _set_aside(self, fields: Mapping[str, str], error: Exception) -> Expected:
        await self._inbox.set_aside(
            Unparsed(
                channel=MANIFEST.name,
                external_id=key_of(fields),
                user_id=person_in(fields) or None,
                content=json.dumps(dict(fields), ensure_ascii=False),
                error=type(error).__name__,
            )
        )
        return NOTHING


def _address(person: str) -> Address:
    return Address(channel=MANIFEST.name, chat_id=person)


def _expected(receipt: Receipt) -> Expected:
    has_words = receipt.turn_id is not None or receipt.answered_at_once is not None or receipt.is_repeat
    return Expected(has_words=has_words, turn_id=receipt.turn_id, language=receipt.language)
