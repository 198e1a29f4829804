"""Sends deliveries. The delivery's id is the message's: WeCom takes each once, so every kind of text may be repeated.

https://developer.work.weixin.qq.com/document/path/94677
"""

import io
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from bot.channels.tencent.errors import ApiError, Unreachable
from bot.channels.wecom import CHANNEL, menus
from bot.channels.wecom.api import Api
from bot.channels.wecom.chat import WecomChat
from bot.channels.wecom.colleagues import ENDED, QUEUED, WITH_COLLEAGUE, Colleagues
from bot.channels.wecom.errors import ACCOUNT_LOST, NO_RIGHTS, NOT_NOW, SWITCHED_OFF, Code, is_known
from bot.channels.wecom.trouble import Trouble
from bot.channels.wecom.welcome import WelcomeCodes
from bot.executors import PriorityExecutor
from bot.outgoing.courier import TryLater, Undeliverable, WaitForPerson
from care.texts import Texts
from dialogue.core import media_marks
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import OwedText
from dialogue.rights.export import File
from dialogue.states import DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_FILE_BYTES = 18_000_000
"""Of all files before they are packed; WeCom takes 20 MB."""
_ARCHIVE = "mindglm.zip"
_BUDGET_SPENT = (Code.BUDGET_SPENT, Code.WINDOW_CLOSED)
_OF_CUSTOMER_SERVICE = range(95000, 96000)
_MENDED_BY_OPERATOR = (
    Code.BANNED_FOR_WORDS,
    Code.TOO_MANY_CUSTOMERS,
    Code.IP_NOT_LISTED,
    Code.INVALID_CREDENTIAL,
    Code.INVALID_CORP_ID,
    Code.CORP_ID_MISSING,
    *NO_RIGHTS,
    *SWITCHED_OFF,
)
_OPERATOR_SECONDS = 60.0
_RATE_SECONDS = 60.0
_NOT_YET_SECONDS = 2.0
_MAX_REFUSALS = 5


class WecomSender:
    """Sends for all accounts of one app."""

    name = CHANNEL

    def __init__(
        self,
        api: Api,
        *,
        colleagues: Colleagues,
        welcomes: WelcomeCodes,
        trouble: Trouble,
        accounts: Callable[[], Sequence[str]],
        texts: Texts,
        has_ratings: bool,
        packing: PriorityExecutor,
    ) -> None:
        """`packing`: where the files of an export become an archive."""
        self._api = api
        self._colleagues = colleagues
        self._welcomes = welcomes
        self._trouble = trouble
        self._accounts = accounts
        self._texts = texts
        self._has_ratings = has_ratings
        self._packing = packing
        self._refusals: Counter[UUID] = Counter()

    async def send(self, text: OwedText) -> str | None:
        if text.kind is DeliveryKind.RELAY and (medium := media_marks.reference_in(text.text)) is not None:
            return await self._deliver(text, await self._copied(text, medium))
        return await self._deliver(text, self._content(text))

    async def send_files(self, text: OwedText, files: Sequence[File]) -> str | None:
        """All files in one archive with the text beside them: one message is one of the five."""
        content = await self._packing.run(partial(_packed, text.text, files))
        media_id = await self._stored(text, self._api.upload(_ARCHIVE, content))
        return await self._deliver(text, {"msgtype": "file", "file": {"media_id": media_id}})

    async def _copied(self, text: OwedText, medium: str) -> dict[str, Any]:
        """What a person showed, for the human who answers them."""
        kind, _, media_id = medium.partition(":")
        return {"msgtype": kind, kind: {"media_id": await self._stored(text, self._api.copy(kind, media_id))}}

    async def _stored(self, text: OwedText, storing: Awaitable[str]) -> str:
        """The media id; raises what a courier understands."""
        try:
            return await storing
        except Unreachable:
            raise TryLater from None
        except ApiError as error:
            if error.code == Code.MEDIA_GONE:
                raise Undeliverable("media_gone") from None
            raise self._put_off(error, text) from None

    async def _deliver(self, text: OwedText, content: dict[str, Any]) -> str:
        """Raises what a courier understands; a repeat that WeCom has already is as good as sent."""
        chat = self._chat(text)
        try:
            await self._send(chat, text, content)
        except Unreachable:
            raise TryLater from None
        except ApiError as error:
            if not _was_sent_before(error, text):
                await self._explain(error, chat, text, content)
        self._refusals.pop(text.id, None)
        self._trouble.is_ours(chat.account)
        return text.id.hex

    async def _send(self, chat: WecomChat, text: OwedText, content: dict[str, Any]) -> None:
        """By a welcome code, which costs nothing of the budget, where there is one."""
        message = {"msgid": text.id.hex, **content}
        code = self._welcomes.find(chat) if content["msgtype"] in ("text", "msgmenu") else None
        if code is not None and await self._is_welcomed(chat, text, {"code": code, **message}):
            return
        await self._api.call("kf/send_msg", {"touser": chat.person, "open_kfid": chat.account, **message})

    async def _is_welcomed(self, chat: WecomChat, text: OwedText, message: dict[str, Any]) -> bool:
        """False if the code was used before, or is too old: then it costs one of the five."""
        try:
            await self._api.call("kf/send_msg_on_event", message)
        except ApiError as error:
            self._welcomes.use(chat)
            if _was_sent_before(error, text):
                return True
            log.warning("wecom_welcome_refused", code=error.code)
            return False
        self._welcomes.use(chat)
        return True

    async def _explain(self, error: ApiError, chat: WecomChat, text: OwedText, content: dict[str, Any]) -> None:
        """Returns if the text was sent after all."""
        if error.code in NOT_NOW:
            await self._if_it_is_our_turn(chat, text, content)
            return
        if error.code in _BUDGET_SPENT:
            raise WaitForPerson from None
        raise self._put_off(error, text, account=chat.account) from None

    async def _if_it_is_our_turn(self, chat: WecomChat, text: OwedText, content: dict[str, Any]) -> None:
        """A session that a colleague has, or that has ended, is silent until the person writes to us again."""
        try:
            state = await self._colleagues.follow(chat)
            if state in (QUEUED, WITH_COLLEAGUE):
                self._trouble.grabbed(chat.account)
            if state in (QUEUED, WITH_COLLEAGUE, ENDED):
                raise WaitForPerson
            await self._send(chat, text, content)
        except (Unreachable, DatabaseUnavailable):
            raise TryLater from None
        except ApiError as error:
            if not _was_sent_before(error, text):
                raise TryLater(_NOT_YET_SECONDS) from None

    def _put_off(self, error: ApiError, text: OwedText, *, account: str = "") -> TryLater | Undeliverable:
        """What is refused for another reason: later, or never."""
        log.warning("wecom_refused", code=error.code, path=error.path)
        if error.code == Code.TOO_OFTEN:
            self._trouble.refused(error)
            return TryLater(_RATE_SECONDS)
        if error.code in _MENDED_BY_OPERATOR:
            self._trouble.refused(error)
            return TryLater(_OPERATOR_SECONDS)
        if error.code in ACCOUNT_LOST:
            self._trouble.refused(error, account=account)
            return Undeliverable("account_gone")
        if error.code == Code.BAD_PARAMETER:
            return Undeliverable("bad_parameter")
        self._refusals[text.id] += 1
        if error.is_busy or self._refusals[text.id] < _MAX_REFUSALS:
            return TryLater()
        del self._refusals[text.id]
        return Undeliverable("refused")

    def _chat(self, text: OwedText) -> WecomChat:
        """An admin to whom nobody's account is known is written to by the first of ours."""
        chat = WecomChat.at(text.address)
        if chat.account:
            return chat
        accounts = self._accounts()
        if not accounts:
            raise TryLater(_OPERATOR_SECONDS)
        return WecomChat(account=accounts[0], person=chat.person)

    def _content(self, text: OwedText) -> dict[str, Any]:
        menu = self._menu(text)
        if menu is not None:
            return {"msgtype": "msgmenu", "msgmenu": menu}
        return {"msgtype": "text", "text": {"content": text.text}}

    def _menu(self, text: OwedText) -> menus.Menu | None:
        if text.kind is DeliveryKind.CONSENT:
            return menus.consent(text.text, self._texts)
        if self._has_ratings and text.kind is DeliveryKind.REPLY and text.is_last and text.turn_id is not None:
            return menus.rating(text.text, text.turn_id)
        return None


def _was_sent_before(error: ApiError, text: OwedText) -> bool:
    """WeCom knows that id. Which code says so is documented nowhere: of a repeat, any that we do not know may."""
    if error.is_about_message_id:
        return True
    is_repeat = text.attempt > 1 or not text.is_new
    is_unknown = error.code in _OF_CUSTOMER_SERVICE and not is_known(error.code)
    return is_repeat and (is_unknown or error.code == Code.BAD_PARAMETER)


def _packed(text: str, files: Sequence[File]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(file.name, file.content)
        archive.writestr("README.txt", text)
    return packed.getvalue()
