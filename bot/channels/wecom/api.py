"""WeCom's API as a client: one access token for all calls, renewed under one lock, never logged.

https://developer.work.weixin.qq.com/document/path/94670 and following. The token and the secret stand in URLs, so no
URL is logged or raised.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from bot.channels.wecom.client import CONTENT, JsonClient
from bot.channels.wecom.errors import ApiError, Code

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_SECONDS = 10.0
_UPLOAD_SECONDS = 60.0
_RENEW_BEFORE_SECONDS = 300.0
_QUICK_TRIES = 3
_QUICK_PAUSE_SECONDS = 0.2
_MAX_AT_ONCE = 80
_PAGE = 1000
_ACCOUNTS_PAGE = 100
_ENDINGS = {"image": "jpg", "voice": "amr", "video": "mp4"}
_EARLY_SECONDS = 3600.0
_CALLERS_IP = re.compile(r"from ip: ([0-9a-fA-F.:]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One of the organisation's customer-service accounts."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledPage:
    """What came after a cursor; `has_more` also where `items` is empty."""

    items: Sequence[dict[str, Any]]
    next_cursor: str
    has_more: bool


class Api:
    """Every method raises `ApiError` for what WeCom refuses, `Unreachable` where no answer came."""

    def __init__(self, *, corp_id: str, secret: str, url: str, max_items: int = _PAGE) -> None:
        """Raises `Misconfigured`."""
        self._corp_id = corp_id
        self._secret = secret
        self._max_items = max_items
        self._client = JsonClient(url, max_at_once=_MAX_AT_ONCE)
        self._token = ""
        self._ended_early_at: deque[float] = deque(maxlen=100)
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        await self._client.close()

    def tokens_ended_early(self) -> int:
        """How many of our tokens WeCom has ended before their time, within an hour."""
        since = time.monotonic() - _EARLY_SECONDS
        return sum(at > since for at in self._ended_early_at)

    async def accounts(self) -> list[Account]:
        """All that our app may use."""
        found: list[Account] = []
        while True:
            answer = await self.call("kf/account/list", {"offset": len(found), "limit": _ACCOUNTS_PAGE})
            page = answer.get("account_list") or []
            found += [Account(id=one["open_kfid"], name=one.get("name", "")) for one in page]
            if len(page) < _ACCOUNTS_PAGE:
                return found

    async def pull(self, account: str, *, cursor: str | None, token: str) -> PulledPage:
        """Messages and events of an account, in the order of their arrival."""
        fields: dict[str, Any] = {"open_kfid": account, "limit": self._max_items}
        fields |= {name: value for name, value in (("cursor", cursor), ("token", token)) if value}
        answer = await self.call("kf/sync_msg", fields)
        return PulledPage(
            items=answer.get("msg_list") or [],
            next_cursor=answer.get("next_cursor") or cursor or "",
            has_more=bool(answer.get("has_more")),
        )

    async def state(self, account: str, person: str) -> tuple[int, str]:
        """The state of a session, and the colleague who has it, if any."""
        answer = await self.call("kf/service_state/get", {"open_kfid": account, "external_userid": person})
        return int(answer["service_state"]), str(answer.get("servicer_userid") or "")

    async def hand_over(self, account: str, person: str, *, servicer: str) -> None:
        """Give the session to a colleague; there is no way back until they end it."""
        place = {"open_kfid": account, "external_userid": person}
        await self.call("kf/service_state/trans", {**place, "service_state": 3, "servicer_userid": servicer})

    async def on_duty(self, account: str) -> list[str]:
        """The colleagues who take sessions of that account now."""
        answer = await self.call("kf/servicer/list", query={"open_kfid": account})
        listed = answer.get("servicer_list") or []
        return [one["userid"] for one in listed if one.get("userid") and one.get("status") == 0]

    async def upload(self, name: str, content: bytes, *, kind: str = "file") -> str:
        """Something that can be sent for three days; returns its media id."""
        files = {"media": (name, content)}
        answer = await self.call("media/upload", query={"type": kind}, files=files, seconds=_UPLOAD_SECONDS)
        return str(answer["media_id"])

    async def copy(self, kind: str, media_id: str) -> str:
        """What a person sent, as something that we may send; nothing of it is kept here. Returns its media id."""
        answer = await self.call("media/get", query={"media_id": media_id}, seconds=_UPLOAD_SECONDS)
        return await self.upload(f"{kind}.{_ENDINGS.get(kind, 'bin')}", answer[CONTENT], kind=kind)

    async def call(
        self,
        path: str,
        fields: dict[str, Any] | None = None,
        *,
        query: dict[str, str] | None = None,
        files: dict[str, Any] | None = None,
        seconds: float = _SECONDS,
    ) -> dict[str, Any]:
        """POST `fields` or `files`; GET without either. A token that has ended is renewed once."""
        token = await self._current_token(instead_of="")
        try:
            return await self._tried(path, fields, {**(query or {}), "access_token": token}, files, seconds)
        except ApiError as error:
            if not error.is_about_token:
                raise
        token = await self._current_token(instead_of=token)
        return await self._tried(path, fields, {**(query or {}), "access_token": token}, files, seconds)

    async def _tried(
        self, path: str, fields: dict[str, Any] | None, query: dict[str, str], files: Any, seconds: float
    ) -> dict[str, Any]:
        """Busy servers are asked again at once, a few times."""
        for attempt in range(1, _QUICK_TRIES + 1):
            try:
                return await self._ask(path, fields, query, files, seconds)
            except ApiError as error:
                if not error.is_busy or attempt == _QUICK_TRIES:
                    raise
            await asyncio.sleep(_QUICK_PAUSE_SECONDS * attempt)
        raise AssertionError("the last try returns or raises")

    async def _current_token(self, *, instead_of: str) -> str:
        """One renewal for all who notice at the same time that a token has ended."""
        if self._is_fresh(instead_of):
            return self._token
        async with self._lock:
            if not self._is_fresh(instead_of):
                asked_at = time.monotonic()
                if instead_of and asked_at < self._renew_at:
                    self._ended_early_at.append(asked_at)
                query = {"corpid": self._corp_id, "corpsecret": self._secret}
                answer = await self._ask("gettoken", None, query, None, _SECONDS)
                self._token = str(answer["access_token"])
                self._renew_at = asked_at + float(answer.get("expires_in", 7200)) - _RENEW_BEFORE_SECONDS
                log.info("wecom_token_renewed", expires_seconds=answer.get("expires_in"))
            return self._token

    def _is_fresh(self, instead_of: str) -> bool:
        return bool(self._token) and self._token != instead_of and time.monotonic() < self._renew_at

    async def _ask(
        self, path: str, fields: dict[str, Any] | None, query: dict[str, str], files: Any, seconds: float
    ) -> dict[str, Any]:
        answer = await self._client.ask(path, query, fields=fields, files=files, seconds=seconds)
        code = int(answer.get("errcode") or 0)
        if code != Code.OK:
            message = str(answer.get("errmsg", ""))
            ip = _CALLERS_IP.search(message)
            raise ApiError(code, path, is_about_message_id="msgid" in message.lower(), ip=ip[1] if ip else "")
        return answer
