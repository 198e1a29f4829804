"""Sends deliveries: as a message, or as the final edit of their placeholder.

A request whose outcome is unknown is repeated only if a duplicate does no harm.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import structlog
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bot.admission import URGENT
from bot.channels.telegram import CHANNEL, buttons
from bot.channels.telegram.bot_api import BotApi, is_topic_gone, never_arrived, retry_seconds
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.connections import told_before_it_leaves
from bot.channels.telegram.flood_limits import Limiter, Pace, Urgency
from bot.channels.telegram.formatting import Entities, send_formatted
from bot.channels.telegram.uploads import Uploads
from bot.outgoing.courier import FORBIDDEN, TryLater, Undeliverable
from care.texts import Texts
from dialogue.core import media_marks
from dialogue.core.sending import UNKNOWN
from dialogue.messages import OwedText
from dialogue.rights.export import File
from dialogue.states import REPEATABLE_KINDS, URGENT_KINDS, DeliveryKind
from dialogue.storage.clock import utc_now
from dialogue.storage.ids import made_at

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LATE = timedelta(minutes=3)
_NOT_MODIFIED = "not modified"
_MAX_MOVES = 3
_STILL_THERE = timedelta(seconds=30)
_IS_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")


Reply = dict[str, Any]
"""ReplyParameters of the Bot API."""


class Shown(Protocol):
    """What the person sees of a reply before it comes."""

    async def finish(self, turn_id: UUID) -> int | None:
        """Nothing more is shown for that turn once this returns; the placeholder that was shown, if any."""


class TelegramSender:
    """Sends for one bot."""

    name = CHANNEL

    def __init__(
        self,
        *,
        bot: BotApi,
        limiter: Limiter,
        paces: Callable[[TelegramChat], Pace],
        shown: Shown,
        begin: Callable[[UUID], None],
        reply_to: Callable[[UUID, int], Awaitable[int | None]],
        on_gone: Callable[[TelegramChat], Awaitable[None]],
        on_moved: Callable[[int, int], Awaitable[None]],
        language_of: Callable[[UUID], Awaitable[str | None]],
        texts_in: Callable[[str | None], Texts],
        has_ratings: bool,
        texts: Texts,
        link: Callable[[UUID], str] = lambda _conversation_id: "",
    ) -> None:
        """`reply_to`: the message of that chat which the reply to a turn answers."""
        self._bot = bot
        self._limiter = limiter
        self._paces = paces
        self._shown = shown
        self._begin = begin
        self._uploads = Uploads(bot, begin)
        self._reply_to = reply_to
        self._on_gone = on_gone
        self._on_moved = on_moved
        self._language_of = language_of
        self._texts_in = texts_in
        self._has_ratings = has_ratings
        self._texts = texts
        self._link = link

    async def send(self, text: OwedText) -> str | None:
        place = TelegramChat.at(text.address)
        if text.kind is DeliveryKind.RELAY and (reference := media_marks.reference_in(text.text)) is not None:
            return await self._in_turn(place, text, partial(self._copy, text, reference))
        placeholder = await self._placeholder(text)
        return await self._in_turn(place, text, partial(self._replace_or_say, text, placeholder, place.chat_id))

    async def send_files(self, text: OwedText, files: Sequence[File]) -> str | None:
        """All files in one request, which arrives whole or not at all; the text stands beneath the last."""
        place = TelegramChat.at(text.address)
        return await self._in_turn(place, text, lambda where: self._uploads.send(where, text, files))

    def close(self) -> None:
        """Uploads are aborted; the next process sends them."""
        self._uploads.close()

    async def _in_turn(self, place: TelegramChat, text: OwedText, say: Callable[[TelegramChat], Awaitable[str]]) -> str:
        """When the pace allows; raises `Undeliverable`, `TryLater`."""
        urgency = Urgency.CRISIS if text.kind in URGENT_KINDS else Urgency.TEXT
        await self._limiter.wait(str(place.chat_id), self._paces(place), urgency)
        try:
            return await self._where_it_is(place, say)
        except RetryAfter as error:
            seconds = retry_seconds(error)
            await self._limiter.flooded(str(place.chat_id), seconds)
            raise TryLater(seconds) from None
        except Forbidden:
            await self._on_gone(place)
            raise Undeliverable(FORBIDDEN) from None
        except BadRequest as error:
            raise Undeliverable(_short_name(error)) from None

    async def _where_it_is(self, place: TelegramChat, say: Callable[[TelegramChat], Awaitable[str]]) -> str:
        """A group that became a supergroup is followed; a topic that is gone is left for the chat that it was in."""
        for _ in range(_MAX_MOVES):
            try:
                return await say(place)
            except ChatMigrated as moved:
                await self._on_moved(place.chat_id, moved.new_chat_id)
                place = replace(place, chat_id=moved.new_chat_id)
            except BadRequest as error:
                if place.thread_id is None or not is_topic_gone(error):
                    raise
                place = place.without_topic()
        raise TryLater

    async def _replace_or_say(
        self, text: OwedText, placeholder: int | None, placeholder_at: int, place: TelegramChat
    ) -> str:
        if placeholder is not None and place.chat_id == placeholder_at:
            return await self._replace(place, text, placeholder)
        return await self._say(place, text)

    async def _placeholder(self, text: OwedText) -> int | None:
        """What the first part replaces: made by this process just now, or by one before."""
        made_here = await self._shown.finish(text.turn_id) if text.turn_id is not None else None
        if text.part:
            return None
        return made_here or (int(text.placeholder_id) if text.placeholder_id is not None else None)

    async def _say(self, place: TelegramChat, text: OwedText) -> str:
        reply = await self._reply_parameters(place, text)
        try:
            with told_before_it_leaves(partial(self._depart, place, text.id), priority=_priority(text)):
                return await self._send_message(place, text, reply)
        except (RetryAfter, Forbidden, BadRequest, ChatMigrated):
            raise
        except TelegramError as error:
            raise _fate(error, may_be_repeated=text.kind in REPEATABLE_KINDS) from None

    async def _copy(self, text: OwedText, reference: str, place: TelegramChat) -> str:
        """What a person showed, without their name, which staff are not to learn from us."""
        chat_id, _, message_id = reference.partition(":")
        try:
            with told_before_it_leaves(partial(self._depart, place, text.id)):
                copied = await self._bot.copy(
                    int(chat_id), int(message_id), to=place.chat_id, message_thread_id=place.thread_id
                )
        except (RetryAfter, Forbidden):
            raise
        except ChatMigrated:
            if not place.is_private:
                raise
            raise self._not_copied("bad_request") from None  # the group moved, and its messages have other ids there
        except BadRequest as error:
            if (reason := _short_name(error)) != "bad_request":  # of the chat that it was to be copied to
                raise
            raise self._not_copied(reason) from None
        except TelegramError as error:
            raise _fate(error, may_be_repeated=True) from None
        return str(copied)

    def _not_copied(self, reason: str) -> Undeliverable:
        """Deleted in the meantime, or protected: whoever holds the conversation hears that something was there."""
        why, kind = self._texts.say("medium_lost_refused"), self._texts.say("medium_file")
        return Undeliverable(reason, telling=self._texts.say("medium_in_words", kind=kind, name="", why=why))

    async def _depart(self, place: TelegramChat, delivery_id: UUID) -> None:
        await self._limiter.depart(str(place.chat_id), self._paces(place))
        self._begin(delivery_id)

    async def _send_message(self, place: TelegramChat, text: OwedText, reply: Reply | None) -> str:
        keyboard = await self._buttons(place, text)
        try:
            return await self._send_with(place, text, reply, keyboard)
        except BadRequest as error:
            if keyboard is None or not _is_about_a_button(error):
                raise
            log.warning("button_refused", kind=text.kind)
        # such as one that opens an address which the platform takes for none: its words are needed all the more
        links, others = buttons.links_apart(keyboard)
        return await self._send_with(place, replace(text, text="\n".join([text.text, *links])), reply, others)

    async def _send_with(
        self, place: TelegramChat, text: OwedText, reply: Reply | None, keyboard: buttons.Keyboard | None
    ) -> str:
        only_to = _only_to(place, text)

        async def send(words: str, entities: Entities | None, *, to: int | None = only_to) -> int:
            return await self._bot.say(
                place.chat_id,
                words,
                entities=entities,
                message_thread_id=place.thread_id,
                reply_markup=keyboard,
                reply_parameters=reply,
                receiver_user_id=to,
            )

        try:
            return str(await send_formatted(text, send))
        except BadRequest as error:
            if only_to is None or is_topic_gone(error) or _is_about_a_button(error):
                raise
        # not in this chat: better seen by all than by nobody
        return str(await send_formatted(text, partial(send, to=None)))

    async def _replace(self, place: TelegramChat, text: OwedText, message_id: int) -> str:
        """An edit is safe to repeat when its outcome is unknown; if the placeholder is gone, sends a new message."""
        try:
            depart = partial(self._limiter.depart, str(place.chat_id), self._paces(place))
            with told_before_it_leaves(depart, priority=_priority(text)):
                await send_formatted(text, partial(self._edit, place, text, message_id))
        except (RetryAfter, Forbidden, ChatMigrated):
            raise
        except BadRequest as error:
            if _NOT_MODIFIED in error.message.lower():
                return str(message_id)
            if any(words in error.message.lower() for words in _IS_GONE):
                return await self._say(place, text)
            raise
        except TelegramError as error:
            raise _fate(error, may_be_repeated=True) from None
        return str(message_id)

    async def _edit(
        self,
        place: TelegramChat,
        text: OwedText,
        message_id: int,
        words: str,
        entities: Entities | None,
    ) -> None:
        buttons_under = await self._buttons(place, text)
        await self._bot.say_instead(place.chat_id, message_id, words, entities=entities, reply_markup=buttons_under)

    async def _buttons(self, place: TelegramChat, text: OwedText) -> buttons.Keyboard | None:
        if not text.is_last:
            return None
        if text.kind is DeliveryKind.CONSENT:
            texts = self._texts_in(await self._language_of(text.id))
            return buttons.consent(texts, user_id=None if place.is_private else place.user_id)
        if text.kind is DeliveryKind.ALERT and text.conversation_id is not None:
            return buttons.alert(self._texts, text.conversation_id, self._link(text.conversation_id))
        if self._has_ratings and text.turn_id and text.kind is DeliveryKind.REPLY:
            return buttons.rating(text.turn_id)
        return None

    async def _reply_parameters(self, place: TelegramChat, text: OwedText) -> Reply | None:
        """In a group, and minutes after the question, it must be seen what is answered."""
        if text.turn_id is None or text.part or (place.is_private and not self._is_late(text.turn_id)):
            return None
        message_id = await self._reply_to(text.turn_id, place.chat_id)
        return {"message_id": message_id, "allow_sending_without_reply": True} if message_id else None

    @staticmethod
    def _is_late(turn_id: UUID) -> bool:
        return utc_now() - made_at(turn_id) > _LATE


def _only_to(place: TelegramChat, text: OwedText) -> int | None:
    """In a group: whom alone the notice and words of danger are shown to, since Bot API 10.2; older servers ignore it.

    Telegram does not promise that somebody who is offline gets them, so only to somebody who wrote just now.
    """
    is_private_matter = text.kind is DeliveryKind.CONSENT or text.kind in URGENT_KINDS
    is_fresh = utc_now() - made_at(text.id) < _STILL_THERE
    if place.is_private or place.user_id is None or not (is_private_matter and is_fresh):
        return None
    return place.user_id


def _priority(text: OwedText) -> int:
    return URGENT if text.kind in URGENT_KINDS else 0


def _fate(error: TelegramError, *, may_be_repeated: bool) -> TryLater | Undeliverable:
    """What to do about a request that failed on the way."""
    if may_be_repeated or never_arrived(error):
        return TryLater()
    return Undeliverable(UNKNOWN)


def _is_about_a_button(error: BadRequest) -> bool:
    return any(word in error.message.lower() for word in ("button", "keyboard", "reply markup", "reply_markup"))


def _short_name(error: BadRequest) -> str:
    """Telegram's description, if it is one of those that hold nothing but a reason."""
    known = ("chat not found", "message is too long", "message text is empty", "not enough rights", "topic_closed")
    return next((words.replace(" ", "_") for words in known if words in error.message.lower()), "bad_request")
