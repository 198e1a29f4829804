"""Sends deliveries with the puppet's own text call, because wechaty's `say` may raise after the text has arrived.

WeChat can neither edit nor stream. A call whose outcome is unknown is repeated only if that does no harm: with our
gateway, which deduplicates deliveries, and for must-deliver texts.
"""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

import structlog

from bot.channels.wechat import CHANNEL
from bot.channels.wechat.chat import WechatChat
from bot.channels.wechat.connection import Connection
from bot.channels.wechat.contacts import Contacts
from bot.channels.wechat.pace import Pace
from bot.channels.wechat.puppet import LineBroken, Puppet, PuppetTrouble
from bot.outgoing.courier import TryLater, Undeliverable
from dialogue.core import media_marks
from dialogue.core.sending import UNKNOWN
from dialogue.messages import OwedText
from dialogue.states import REPEATABLE_KINDS, DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MENTION_END = "\u2005"
_MAX_REFUSALS = 5
_NO_LINE_SECONDS = 1.0


class WechatSender:
    """Sends for one account. `begin` is told of each text that a successor must not simply repeat."""

    name = CHANNEL

    def __init__(
        self,
        *,
        connection: Connection,
        contacts: Contacts,
        pace: Pace,
        begin: Callable[[UUID], None],
    ) -> None:
        self._connection = connection
        self._contacts = contacts
        self._pace = pace
        self._begin = begin
        self._refusals: Counter[UUID] = Counter()

    async def send(self, text: OwedText) -> str | None:
        await self._pace.wait(text)
        if not self._connection.is_logged_in:
            raise TryLater(_NO_LINE_SECONDS)
        try:
            puppet = self._connection.puppet
            words, mentions = await self._addressed(text)
        except LineBroken:
            raise TryLater(_NO_LINE_SECONDS) from None
        return await self._say(puppet, text, words, mentions)

    async def _say(self, puppet: Puppet, text: OwedText, words: str, mentions: list[str]) -> str | None:
        place = WechatChat.at(text.address)
        if not puppet.is_durable:
            self._begin(text.id)
        reference = media_marks.reference_in(text.text) if text.kind is DeliveryKind.RELAY else None
        try:
            if reference is not None:
                message_id = await puppet.show(place.conversation_id, reference)
            else:
                message_id = await puppet.say(place.conversation_id, words, delivery_id=text.id, mentions=mentions)
        except LineBroken as trouble:
            if trouble.never_left or puppet.is_durable or text.kind in REPEATABLE_KINDS:
                raise TryLater(_NO_LINE_SECONDS) from None
            raise Undeliverable(UNKNOWN) from None
        except PuppetTrouble as trouble:
            raise self._after(trouble, text) from None
        self._refusals.pop(text.id, None)
        return message_id

    def _after(self, trouble: PuppetTrouble, text: OwedText) -> TryLater | Undeliverable:
        """A puppet that returns an error did not send the text; retried a few times."""
        if trouble.is_fate_unknown and text.kind not in REPEATABLE_KINDS:
            return Undeliverable(UNKNOWN)
        self._refusals[text.id] += 1
        if self._refusals[text.id] < _MAX_REFUSALS:
            log.warning("wechat_refused", delivery_id=str(text.id), status=str(trouble))
            return TryLater()
        del self._refusals[text.id]
        return Undeliverable("refused")

    async def _addressed(self, text: OwedText) -> tuple[str, list[str]]:
        """In a room the first part names the person whom it answers."""
        place = WechatChat.at(text.address)
        if place.room_id is None or text.part > 0:
            return text.text, []
        name = await self._contacts.name(place.contact_id)
        return (f"@{name}{_MENTION_END}{text.text}" if name else text.text), [place.contact_id]
