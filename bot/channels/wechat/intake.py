"""Processes WeChat events; a message is acknowledged once it is stored.

Each chat's messages are processed in order, different chats' in parallel: on a slow connection nobody waits for
everybody else, and dangerous words overtake messages that are still being fetched. Without connection or database,
intake retries the same event: nothing is skipped.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential

from bot.channels.wechat import CHANNEL
from bot.channels.wechat.chat import WechatChat
from bot.channels.wechat.connection import Connection
from bot.channels.wechat.contacts import Contacts
from bot.channels.wechat.puppet import Event, Happening, LineBroken, Puppet, PuppetTrouble
from bot.channels.wechat.reading import Account, Ignored, Payload, Said, Showed, read
from bot.incoming.chat_locks import PerChatLocks
from bot.incoming.faults import CannotParse, Faults
from bot.incoming.receipt import Receipt
from bot.incoming.urgency import is_urgent
from dialogue.core.sending import back_off_seconds
from dialogue.core.unparsed import Unparsed
from dialogue.errors import EnvironmentFault
from dialogue.messages import Address, InboundMessage, with_delay
from dialogue.storage.clock import Clock, utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RATINGS = {"有帮助": 1, "👍": 1, "没帮助": -1, "没有帮助": -1, "👎": -1}
_LOGIN_GRACE = timedelta(seconds=60)
"""WeChat's clock is not ours, and often has whole seconds only."""
_READ_ATTEMPTS = 3
_LOUD_ATTEMPTS = 3
_MAX_FETCHES = 128
"""At the same time; a message that was fetched waits for threads and locks without holding one of these places."""
_FIRST_BACK_OFF_SECONDS = 0.2
_MAX_BACK_OFF_SECONDS = 1.0  # somebody in danger may be writing
_REPEATED = {Happening.MESSAGE: "messageId", Happening.FRIENDSHIP: "friendshipId"}
"""The events that our gateway repeats until they are acknowledged, and the key of each."""

_REQUEST_RECEIVED = 2
"""`types.Friendship.Receive`: somebody asks to be a friend."""

OnHeld = Callable[[str, str | None], None]
"""Called with a message that cannot be stored though it is not at fault, and why; with None when it is no longer so."""

T = TypeVar("T")


class Inbox(Protocol):
    """What intake needs of `bot.incoming.inbox.Inbox`."""

    async def receive(self, message: InboundMessage) -> Receipt: ...

    async def excuse(self, message: InboundMessage) -> Receipt: ...

    async def set_aside(self, update: Unparsed) -> None: ...

    async def rate(self, channel: str, user_id: str, turn_id: UUID, value: int) -> bool: ...


class Intake:
    """The way in of one account."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        connection: Connection,
        contacts: Contacts,
        last_reply: Callable[[Address], Awaitable[UUID | None]],
        are_rooms_served: bool,
        accepts_friends: bool,
        on_held: OnHeld = lambda _message_id, _reason: None,
        clock: Clock = utc_now,
    ) -> None:
        self._inbox = inbox
        self._connection = connection
        self._contacts = contacts
        self._last_reply = last_reply
        self._are_rooms_served = are_rooms_served
        self._accepts_friends = accepts_friends
        self._on_held = on_held
        self._faults = Faults()
        self._clock = clock
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._pending: set[tuple[Happening, str]] = set()
        self._account: Account | None = None
        self._chat_locks = PerChatLocks()
        self._fetches = asyncio.Semaphore(_MAX_FETCHES)

    def offer(self, event: Event) -> None:
        """Queue an event; a message or a request that is queued already is not queued twice."""
        key = _REPEATED.get(event.kind)
        if key is not None:
            if not event.text(key) or (event.kind, event.text(key)) in self._pending:
                return
            self._pending.add((event.kind, event.text(key)))
        self._events.put_nowait(event)

    async def run(self) -> None:
        """Until cancelled."""
        before = asyncio.Event()
        before.set()
        async with asyncio.TaskGroup() as group:
            while True:
                step = _Step(event=await self._events.get(), before=before, after=asyncio.Event())
                group.create_task(self._take_one(step))
                before = step.after

    async def _take_one(self, step: "_Step") -> None:
        event = step.event
        try:
            await self._take(step)
        except Exception as error:  # noqa: BLE001 - what breaks over one event must not stop the others
            log.error("wechat_event_failed", kind=event.kind.name, error=type(error).__name__)  # noqa: TRY400 - may hold texts
        finally:
            step.after.set()
            self._pending.discard((event.kind, event.text(_REPEATED.get(event.kind, ""))))

    async def _take(self, step: "_Step") -> None:
        event = step.event
        match event.kind:
            case Happening.LOGIN:
                await step.before.wait()
                await self._log_in(event.text("contactId"))
            case Happening.MESSAGE:
                await self._take_message(event.text("messageId"), step)
            case Happening.FRIENDSHIP:
                await step.before.wait()
                step.after.set()  # accepting a friend request may take long
                await self._insist(partial(self._take_request, event.text("friendshipId")))
            case _:
                await step.before.wait()

    async def _log_in(self, account_id: str) -> None:
        """Our gateway sorts out what is older than the account's login; with others it is older than this one."""
        if self._account is not None and self._account.id == account_id:
            return
        puppet = await self._connection.wait_until_up()
        self._account = Account(
            id=account_id,
            name=await self._contacts.name(account_id) if self._are_rooms_served else "",
            since=None if puppet.is_durable else self._clock() - _LOGIN_GRACE,
        )

    async def _insist(self, act: Callable[[], Awaitable[T]], *, held: str = "") -> T:
        """Retry until connection, database and keys are available; it is told that the message `held` waits."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((LineBroken, EnvironmentFault)),
            wait=wait_exponential(multiplier=_FIRST_BACK_OFF_SECONDS, max=_MAX_BACK_OFF_SECONDS),
            before_sleep=partial(self._tell_retry, held),
        )
        async for attempt in retrying:
            with attempt:
                return await act()
        raise AssertionError("tenacity either returns or raises")

    async def _take_message(self, message_id: str, step: "_Step") -> None:
        payload = await self._insist(partial(self._fetch, message_id))
        if not step.before.is_set() and self._may_overtake(payload):
            await self._take_fetched(message_id, payload)
            await step.before.wait()  # those that come after this one overtake nobody
            return
        await step.before.wait()  # earlier messages of this chat have asked for its lock by now
        step.after.set()
        await self._take_fetched(message_id, payload)

    async def _take_fetched(self, message_id: str, payload: Payload | None) -> None:
        if payload is None:
            log.error("wechat_message_unreadable", message_id=message_id)
            return
        async with self._chat_locks.hold((payload.room_id, payload.from_id)):
            try:
                await self._insist(partial(self._store, message_id, payload), held=message_id)
            finally:
                self._on_held(message_id, None)
            await self._insist(partial(self._acknowledge, message_id))

    def _may_overtake(self, payload: Payload | None) -> bool:
        """Dangerous words do not wait for other messages to be fetched; only our own account must be known."""
        return self._account is not None and payload is not None and is_urgent(payload.text)

    async def _acknowledge(self, message_id: str) -> None:
        puppet = await self._connection.wait_until_up()
        await puppet.acknowledge(message_id)

    async def _fetch(self, message_id: str) -> Payload | None:
        """None when the puppet cannot tell, also when it is asked again."""
        puppet = await self._connection.wait_until_up()
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(PuppetTrouble),
            stop=stop_after_attempt(_READ_ATTEMPTS),
            wait=wait_exponential(multiplier=_FIRST_BACK_OFF_SECONDS),
            retry_error_callback=lambda _: None,
        )
        async for attempt in retrying:
            with attempt:
                async with self._fetches:
                    payload: Payload = await puppet.call("message_payload", id=message_id)
                return payload
        return None

    def _tell_retry(self, held: str, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("wechat_intake_retries", reason=type(error).__name__)
        if held and isinstance(error, EnvironmentFault) and state.attempt_number >= _LOUD_ATTEMPTS:
            self._on_held(held, str(error))

    async def _store(self, message_id: str, payload: Payload) -> None:
        """A message that cannot be parsed, or alone cannot be stored, is kept for staff."""
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._take_payload(payload)
            except (LineBroken, EnvironmentFault):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the words
                if self._faults.failed(message_id, error):
                    await self._set_aside(message_id, payload, error)
                    return
                log.warning("wechat_intake_retries", reason=type(error).__name__)
                await asyncio.sleep(
                    back_off_seconds(attempt, first_seconds=_FIRST_BACK_OFF_SECONDS, max_seconds=_MAX_BACK_OFF_SECONDS)
                )
            else:
                self._faults.stored(message_id)
                return

    async def _set_aside(self, message_id: str, payload: Payload, error: Exception) -> None:
        await self._inbox.set_aside(
            Unparsed(
                channel=CHANNEL,
                external_id=message_id,
                user_id=payload.from_id or None,
                content=_as_json(payload),
                error=str(error) if isinstance(error, CannotParse) else type(error).__name__,
            )
        )

    async def _take_payload(self, payload: Payload) -> None:
        account = self._account or Account(id=payload.to_id)  # a puppet that never said who it is
        read_as: Said | Showed | Ignored
        try:
            read_as = read(payload, account, are_rooms_served=self._are_rooms_served, now=self._clock())
        except Exception as error:
            raise CannotParse(type(error).__name__) from error
        if not isinstance(read_as, Ignored) and not await self._contacts.is_person(payload.from_id):
            read_as = Ignored("official_account")
        match read_as:
            case Ignored(reason):
                log.debug("wechat_message_ignored", message_id=payload.id, reason=reason)
            case Said(message):
                await self._hear(message)
            case Showed(message):
                await self._inbox.excuse(message)

    async def _hear(self, message: InboundMessage) -> None:
        """有帮助 and 没帮助 rate the last reply, and are words like any others."""
        rating = _RATINGS.get(message.text.strip())
        rated = await self._last_reply(message.address) if rating else None
        receipt = await self._inbox.receive(with_delay(message, now=self._clock()))
        if rating and rated and not receipt.is_repeat:
            await self._inbox.rate(CHANNEL, message.user_id, rated, rating)

    async def _take_request(self, friendship_id: str) -> None:
        """Without the setting, or if the puppet refuses, it is left to a human."""
        puppet = await self._connection.wait_until_up()
        if self._accepts_friends:
            try:
                await self._befriend(puppet, friendship_id)
            except PuppetTrouble as trouble:
                log.warning("wechat_friend_request_not_accepted", friendship_id=friendship_id, reason=str(trouble))
        await puppet.settle(friendship_id)

    async def _befriend(self, puppet: Puppet, friendship_id: str) -> None:
        """Say yes, and hello as to anyone who comes for the first time; a repeat says neither again."""
        request = await puppet.call("friendship_payload", id=friendship_id)
        if int(request.type) != _REQUEST_RECEIVED:
            return
        await self._accept(puppet, friendship_id, request.contact_id)
        log.info("wechat_friend_accepted", friendship_id=friendship_id)
        await self._inbox.receive(
            InboundMessage(
                address=WechatChat(contact_id=request.contact_id).address,
                account=self._account.id if self._account else "",
                user_id=request.contact_id,
                external_id=f"hello {request.contact_id}",
                text="/start",
                sent_at=self._clock(),
                is_private=True,
            )
        )

    async def _accept(self, puppet: Puppet, friendship_id: str, contact_id: str) -> None:
        try:
            await puppet.call("friendship_accept", id=friendship_id)
        except PuppetTrouble:
            if not (await puppet.call("contact_payload", id=contact_id)).friend:  # else we have said yes before
                raise


def _as_json(payload: Payload) -> str:
    fields = {name: getattr(payload, name, None) for name in Payload.__annotations__}
    return json.dumps(fields, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """An event in the order of events: the one before it, and whether the next may go on."""

    event: Event
    before: asyncio.Event
    after: asyncio.Event
