"""Sends deliveries: in a request of the platform's that waits for words, else as a customer-service message.

Neither bears an id, so a message whose fate is unknown is repeated only if a second one does no harm.
https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage.html
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog

from bot.channels.oa import CHANNEL
from bot.channels.oa.api import OaApi
from bot.channels.oa.consent_menu import ConsentMenu
from bot.channels.oa.errors import BLOCKED, CREDENTIALS, NO_SUCH_KIND, PERSON_GONE, Code
from bot.channels.oa.exchanges import Exchanges, PushExchange
from bot.channels.oa.passive_reply import printable
from bot.channels.oa.replying import ReplyingMode
from bot.channels.oa.trouble import OaTrouble
from bot.channels.oa.typing_sign import TypingSign
from bot.channels.tencent.errors import ApiError, Unreachable
from bot.outgoing.courier import FORBIDDEN, TryLater, Undeliverable, WaitForPerson
from bot.outgoing.measure import Measure
from bot.outgoing.splitting import split
from dialogue.core import media_marks
from dialogue.core.sending import UNKNOWN
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import Address, OwedText
from dialogue.states import REPEATABLE_KINDS, DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MENU_BYTES = 2048
_SMALLER_BYTES = 1024
_OPERATOR_SECONDS = 60.0
_QUOTA_SECONDS = 600.0
_RATE_SECONDS = 60.0
_NEXT_PUSH_SECONDS = 0.5
_ANOTHER_REQUEST_SECONDS = 0.1
_MAX_REFUSALS = 5


class OaSender:
    """Sends for one account."""

    name = CHANNEL

    def __init__(
        self,
        api: OaApi,
        *,
        exchanges: Exchanges,
        mode: ReplyingMode,
        trouble: OaTrouble,
        typing_sign: TypingSign,
        consent_menu: Callable[[OwedText], Awaitable[ConsentMenu]],
        begin: Callable[[UUID], None],
        message_of: Callable[[UUID], Awaitable[str | None]],
        on_gone: Callable[[Address], Awaitable[None]],
    ) -> None:
        """`message_of` returns the platform's id of the message that the reply to a turn answers."""
        self._api = api
        self._exchanges = exchanges
        self._mode = mode
        self._trouble = trouble
        self._typing_sign = typing_sign
        self._consent_menu = consent_menu
        self._begin = begin
        self._message_of = message_of
        self._on_gone = on_gone
        self._has_menus = True
        self._refusals: Counter[UUID] = Counter()

    async def send(self, text: OwedText) -> str | None:
        medium = media_marks.reference_in(text.text) if text.kind is DeliveryKind.RELAY else None
        exchange = self._exchanges.listening(text.address.chat_id)
        if exchange is not None and medium is None:
            await self._say_in(exchange, text)
        elif self._mode.is_passive:
            if self._exchanges.comes_again(text.address.chat_id):
                raise TryLater(_NEXT_PUSH_SECONDS)
            raise WaitForPerson
        else:
            await self._send(text, medium)
        return None

    async def _say_in(self, exchange: PushExchange, text: OwedText) -> None:
        self._begin(text.id)
        if not await exchange.offer(text).is_written:
            raise TryLater(_ANOTHER_REQUEST_SECONDS)

    async def _send(self, text: OwedText, medium: str | None) -> None:
        """A token, and what must be fetched first, are there before anything may have arrived."""
        person = text.address.chat_id
        content = await self._before(text, self._content(text, medium))
        self._typing_sign.end(person)
        self._begin(text.id)
        try:
            await self._api.send({"touser": person, **content})
        except Unreachable as error:
            raise self._lost(error, text) from None
        except ApiError as error:
            await self._explain(error, text, content)
        self._typing_sign.said(person)
        self._refusals.pop(text.id, None)
        self._trouble.answered()

    async def _before(self, text: OwedText, preparing: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        try:
            content = await preparing
            await self._api.get_ready()
        except (Unreachable, DatabaseUnavailable):
            raise TryLater from None
        except ApiError as error:
            raise self._put_off(error, text) from None
        return content

    async def _content(self, text: OwedText, medium: str | None) -> dict[str, Any]:
        if medium is not None:
            kind, _, media_id = medium.partition(":")
            return {"msgtype": kind, kind: {"media_id": await self._api.copy(kind, media_id)}}
        words = printable(text.text)
        if text.kind is DeliveryKind.CONSENT and text.is_last and self._has_menus and _fits_a_menu(words):
            return {"msgtype": "msgmenu", "msgmenu": (await self._consent_menu(text)).made(words)}
        content: dict[str, Any] = {"msgtype": "text", "text": {"content": words}}
        if text.kind is DeliveryKind.REPLY and text.turn_id is not None:
            message_id = await self._message_of(text.turn_id)
            if message_id is not None and message_id.isdecimal():
                content["aimsgcontext"] = {"msgid": message_id}
        return content

    @staticmethod
    def _lost(error: Unreachable, text: OwedText) -> TryLater | Undeliverable:
        if error.never_arrived or text.kind in REPEATABLE_KINDS:
            return TryLater()
        return Undeliverable(UNKNOWN)

    async def _explain(self, error: ApiError, text: OwedText, content: dict[str, Any]) -> None:
        """Returns if the text was sent after all."""
        if error.code == Code.BUDGET_SPENT:
            raise WaitForPerson from None
        if error.code == Code.NOT_VERIFIED:
            self._mode.become_passive()
            self._trouble.not_verified()
            raise WaitForPerson from None
        if error.code in PERSON_GONE:
            await self._leave(text.address)
            raise Undeliverable(FORBIDDEN) from None
        smaller = self._smaller(error, text, content)
        if not smaller:
            raise self._put_off(error, text) from None
        for part in smaller:
            await self._send_part(text, part)

    def _smaller(self, error: ApiError, text: OwedText, content: dict[str, Any]) -> list[str]:
        """The same words as what the account does take, where there is such."""
        if error.code in NO_SUCH_KIND and content["msgtype"] == "msgmenu":
            self._has_menus = False
            return [printable(text.text)]
        if error.code == Code.TOO_LONG:
            return split(printable(text.text), limit=_SMALLER_BYTES, measure=Measure.UTF8)
        return []

    async def _send_part(self, text: OwedText, words: str) -> None:
        try:
            await self._api.send({"touser": text.address.chat_id, "msgtype": "text", "text": {"content": words}})
        except Unreachable as error:
            raise self._lost(error, text) from None
        except ApiError as error:
            if error.code == Code.BUDGET_SPENT:
                raise WaitForPerson from None
            raise self._put_off(error, text) from None

    async def _leave(self, address: Address) -> None:
        try:
            await self._on_gone(address)
        except DatabaseUnavailable:
            raise TryLater from None

    def _put_off(self, error: ApiError, text: OwedText) -> TryLater | Undeliverable:
        """What is refused for another reason: later, or never."""
        log.warning("oa_refused", code=error.code, path=error.path)
        if error.code == Code.WINDOW_CLOSED:
            return Undeliverable("window_closed")
        if error.code == Code.UNKNOWN_PERSON:
            return Undeliverable("unknown_person")
        if (seconds := _mended_in(error.code)) is not None:
            self._trouble.refused(error)
            return TryLater(seconds)
        self._refusals[text.id] += 1
        if error.is_busy or self._refusals[text.id] < _MAX_REFUSALS:
            return TryLater()
        del self._refusals[text.id]
        return Undeliverable("refused")


def _mended_in(code: int) -> float | None:
    """Seconds until what the operator mends, or time, is looked at again."""
    if code == Code.TOO_OFTEN:
        return _RATE_SECONDS
    if code == Code.DAY_QUOTA_USED:
        return _QUOTA_SECONDS
    return _OPERATOR_SECONDS if code in (Code.IP_NOT_LISTED, *CREDENTIALS, *BLOCKED) else None


def _fits_a_menu(words: str) -> bool:
    return Measure.UTF8.of(words) <= _MENU_BYTES
