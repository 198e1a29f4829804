"""Progress shown while a reply is generated: queue position, typing, then the growing text.

In private chats the text grows in a draft, elsewhere in a placeholder message that is edited. All of it is best effort
and yields to texts; nothing more is shown once the reply itself is sent.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

import structlog
from telegram import Bot, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import BadRequest, ChatMigrated, InvalidToken, RetryAfter, TelegramError

from bot.channels.telegram.bot_api import is_topic_gone, retry_seconds
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.flood_limits import Limiter, Pace, Urgency
from bot.channels.telegram.splitting import LIMIT, split
from bot.outgoing.markdown import plain_so_far
from dialogue.errors import DialogueError
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FIRST_LOOK_SECONDS = 0.8
"""A reply that comes sooner needs no announcement."""

_LOOK_SECONDS = 1.0
_GROUP_LOOK_SECONDS = 3.5
_TYPING_SECONDS = 4.0
_CHECK_SECONDS = 8.0
_HANDOVER_SECONDS = 3.0
_ELLIPSIS = "…"
_PLACE_SECONDS = 5.0
"""Seconds between two updates of the queue position."""

_DRAFT_SECONDS = 20.0
"""Telegram shows a draft for half a minute."""
_MAX_DRAFT_ID = 2**31 - 1
_NO_DRAFTS_SECONDS = 600.0
"""A server that answered 404 is asked again after so long: it may have been a spell."""
_CAN_STOP = {"can_stop": True}
"""Since Bot API 10.3; older servers ignore it."""


def draft_id_of(turn_id: UUID) -> int:
    """The draft that shows that turn's reply."""
    return turn_id.int & _MAX_DRAFT_ID or 1


@dataclass(slots=True)
class _Waiting:
    """One turn that somebody waits for."""

    turn_id: UUID
    place: TelegramChat
    sealed: bytes | None = field(default=None, repr=False)
    shown: str = field(default="", repr=False)
    queue_position: str = ""
    told_at: float = 0.0
    began_at: float = field(default_factory=time.monotonic)
    placeholder: int | None = None
    knows_drafts: bool = True
    typed_at: float = 0.0
    quiet_until: float = 0.0
    is_over: bool = False
    is_dropped: bool = False
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turns(Protocol):
    """Queries about turns."""

    async def is_awaited(self, turn_id: UUID) -> bool: ...

    async def open_partial(self, turn_id: UUID, sealed: bytes) -> str | None: ...

    async def reply_to(self, turn_id: UUID, chat_id: int) -> int | None: ...

    async def is_next(self, turn_id: UUID, place: TelegramChat) -> bool: ...

    async def placeholder_of(self, turn_id: UUID) -> int | None: ...

    async def note_placeholder(self, turn_id: UUID, message_id: int) -> None: ...


class StalePlaceholders(Protocol):
    """Placeholders that no reply will replace."""

    async def take_down(self, turn_id: UUID) -> None: ...


class WaitingQueue(Protocol):
    """Who waits for a worker."""

    patience_seconds: float

    async def words_for(self, turn_id: UUID) -> str | None: ...


class Progress:
    """Shows growing replies for one bot."""

    def __init__(
        self,
        *,
        bot: Bot,
        limiter: Limiter,
        paces: Callable[[TelegramChat], Pace],
        turns: Turns,
        stale: StalePlaceholders,
        queue: WaitingQueue,
        on_moved: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._bot = bot
        self._limiter = limiter
        self._paces = paces
        self._turns = turns
        self._stale = stale
        self._queue = queue
        self._waiting: dict[UUID, _Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_moved = on_moved
        self._no_drafts_until = 0.0

    def begin(self, turn_id: UUID, place: TelegramChat) -> None:
        """Somebody waits for the reply to that turn."""
        if turn_id in self._waiting:
            return
        waiting = self._waiting[turn_id] = _Waiting(turn_id, place)
        task = asyncio.create_task(self._show(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def grow(self, turn_id: UUID, sealed: bytes) -> None:
        """The reply so far, as the worker published it; opened only if it is going to be shown."""
        waiting = self._waiting.get(turn_id)
        if waiting is not None:
            waiting.sealed = sealed

    async def finish(self, turn_id: UUID) -> int | None:
        """Nothing more is shown once this returns, not even requests in flight.

        Returns the placeholder message that the reply will replace, if there is one.
        """
        waiting = self._waiting.pop(turn_id, None)
        if waiting is None:
            return None
        waiting.is_over = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HANDOVER_SECONDS), waiting.busy:
                pass
        return waiting.placeholder

    def turn_of_draft(self, draft_id: int) -> UUID | None:
        """The turn whose reply grows in that draft."""
        return next((turn_id for turn_id in self._waiting if draft_id_of(turn_id) == draft_id), None)

    def drop(self, turn_ids: Iterable[UUID]) -> None:
        """Nobody waits for these any more: nothing is shown from now on, and placeholders go."""
        for turn_id in turn_ids:
            waiting = self._waiting.pop(turn_id, None)
            if waiting is not None:
                waiting.is_over = waiting.is_dropped = True

    async def close(self) -> None:
        for waiting in self._waiting.values():
            waiting.is_over = True
        await end_tasks(self._tasks)

    async def _show(self, waiting: _Waiting) -> None:
        await asyncio.sleep(_FIRST_LOOK_SECONDS)
        checked_at = time.monotonic()
        while not waiting.is_over:
            try:
                async with waiting.busy:
                    if not waiting.is_over:
                        await self._look(waiting)
                if time.monotonic() - checked_at >= _CHECK_SECONDS:
                    checked_at = time.monotonic()
                    if not await self._turns.is_awaited(waiting.turn_id):
                        await self._stale.take_down(waiting.turn_id)
                        break
            except ChatMigrated as moved:
                await self._follow(waiting, moved.new_chat_id)
            except (TelegramError, DialogueError) as error:
                if isinstance(error, BadRequest) and is_topic_gone(error):
                    waiting.place = waiting.place.without_topic()
                log.debug("draft_not_shown", turn_id=str(waiting.turn_id), error=type(error).__name__)
            await asyncio.sleep(_LOOK_SECONDS if waiting.place.is_private else _GROUP_LOOK_SECONDS)
        self._waiting.pop(waiting.turn_id, None)
        if waiting.is_dropped:
            await self._take_down(waiting.turn_id)

    async def _take_down(self, turn_id: UUID) -> None:
        try:
            await self._stale.take_down(turn_id)
        except (TelegramError, DialogueError) as error:  # the next adapter finds it
            log.debug("placeholder_left_over", turn_id=str(turn_id), error=type(error).__name__)

    async def _follow(self, waiting: _Waiting, chat_id: int) -> None:
        """The group became a supergroup, where the placeholder's id means nothing."""
        before, waiting.place = waiting.place, replace(waiting.place, chat_id=chat_id)
        waiting.placeholder, waiting.shown = None, ""
        try:
            await self._on_moved(before.chat_id, chat_id)
        except DialogueError as error:
            log.debug("move_not_noted", error=type(error).__name__)

    async def _look(self, waiting: _Waiting) -> None:
        """Show new text if there is any, else "typing"; pauses under flood control."""
        now = time.monotonic()
        if now < waiting.quiet_until:
            return
        try:
            is_due = now - waiting.typed_at >= _TYPING_SECONDS
            if (
                await self._show_words(waiting)
                or await self._show_place(waiting, now)
                or (is_due and await self._type(waiting.place))
            ):
                waiting.typed_at = now
        except RetryAfter as error:
            waiting.quiet_until = now + retry_seconds(error)

    async def _show_words(self, waiting: _Waiting) -> bool:
        """Whether there was something new to show and it was shown."""
        sealed, waiting.sealed = waiting.sealed, None
        if sealed is None:
            return False
        text = plain_so_far(await self._turns.open_partial(waiting.turn_id, sealed) or "")
        if not text or text == waiting.shown:
            return False
        is_shown = await self._put(waiting, split(text)[-1], split(text, LIMIT - len(_ELLIPSIS))[0] + _ELLIPSIS)
        if is_shown:
            waiting.shown = text
        return is_shown

    async def _show_place(self, waiting: _Waiting, now: float) -> bool:
        """Show the queue position if no worker has started on the turn."""
        if waiting.shown or not self._queue.patience_seconds <= now - waiting.began_at:
            return False
        words = await self._queue.words_for(waiting.turn_id)
        if words is None:
            return False
        is_seen = words == waiting.queue_position and (
            waiting.placeholder is not None or now - waiting.told_at < _DRAFT_SECONDS
        )
        if is_seen or now - waiting.told_at < _PLACE_SECONDS:
            return True
        if not await self._put(waiting, words, words):
            return False
        waiting.queue_position, waiting.told_at = words, now
        return True

    async def _put(self, waiting: _Waiting, draft: str, placeholder: str) -> bool:
        is_drafting = waiting.knows_drafts and time.monotonic() >= self._no_drafts_until
        if waiting.place.is_private and is_drafting:
            return await self._draft(waiting, draft, placeholder)
        return await self._edit(waiting, placeholder)

    async def _type(self, place: TelegramChat) -> bool:
        if not await self._has_room(place, Urgency.PASSING):
            return False
        return await self._bot.send_chat_action(place.chat_id, ChatAction.TYPING, message_thread_id=place.thread_id)

    async def _draft(self, waiting: _Waiting, text: str, placeholder: str) -> bool:
        if not await self._has_room(waiting.place, Urgency.PASSING):
            return False
        draft_id = draft_id_of(waiting.turn_id)
        try:
            return await self._bot.send_message_draft(
                waiting.place.chat_id,
                draft_id,
                text,
                message_thread_id=waiting.place.thread_id,
                api_kwargs=_CAN_STOP,
            )
        except ChatMigrated:
            raise
        except BadRequest as error:  # this chat: what others are shown is another matter
            if is_topic_gone(error):
                raise
            waiting.knows_drafts = False
        except InvalidToken:  # this server knows no drafts: so the library reads a 404
            self._no_drafts_until = time.monotonic() + _NO_DRAFTS_SECONDS
            log.info("drafts_refused")
        return await self._edit(waiting, placeholder)

    async def _edit(self, waiting: _Waiting, text: str) -> bool:
        if not await self._has_room(waiting.place, Urgency.EDIT):
            return False
        try:
            return await self._put_placeholder(waiting, text)
        except RetryAfter as error:
            await self._limiter.flooded(str(waiting.place.chat_id), retry_seconds(error))
            raise

    async def _put_placeholder(self, waiting: _Waiting, text: str) -> bool:
        """The reply will stand in its place, so it must not stand before a text that was owed earlier."""
        place = waiting.place
        if waiting.placeholder is None:
            waiting.placeholder = await self._turns.placeholder_of(waiting.turn_id)
        if waiting.placeholder is not None:
            await self._bot.edit_message_text(text, place.chat_id, waiting.placeholder)
            return True
        if not await self._turns.is_next(waiting.turn_id, place):
            return False
        # it rings now: the edit that puts the reply in its place does not
        message = await self._bot.send_message(
            place.chat_id, text, message_thread_id=place.thread_id, reply_parameters=await self._reply(waiting)
        )
        waiting.placeholder = message.message_id
        await self._turns.note_placeholder(waiting.turn_id, message.message_id)
        return True

    async def _reply(self, waiting: _Waiting) -> ReplyParameters | None:
        """In a group it must be seen who is answered."""
        if waiting.place.is_private:
            return None
        message_id = await self._turns.reply_to(waiting.turn_id, waiting.place.chat_id)
        return ReplyParameters(message_id, allow_sending_without_reply=True) if message_id else None

    async def _has_room(self, place: TelegramChat, urgency: Urgency) -> bool:
        return await self._limiter.has_room(str(place.chat_id), self._paces(place), urgency)
