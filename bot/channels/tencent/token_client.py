"""Calls an API with one access token, renewed under one lock, never logged.

The token and the secret stand in URLs, so no URL is logged or raised.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from bot.channels.tencent.client import JsonClient
from bot.channels.tencent.errors import OK, ApiError, Unreachable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_SECONDS = 10.0
_RENEW_BEFORE_SECONDS = 300.0
_USUAL_LIFE_SECONDS = 7200
_QUICK_TRIES = 3
_QUICK_PAUSE_SECONDS = 0.2
_MAX_AT_ONCE = 80
_EARLY_SECONDS = 3600.0
_CALLERS_IP = re.compile(r"(?:from|invalid) ip:? ([0-9a-fA-F.:]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """How an access token is asked for: POST where there are `fields`."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    fields: Mapping[str, Any] | None = field(default=None, repr=False)


class TokenClient:
    """Every method raises `ApiError` for what is refused, `Unreachable` where no answer came."""

    def __init__(self, url: str, token_request: TokenRequest) -> None:
        """Raises `Misconfigured`."""
        self._client = JsonClient(url, max_at_once=_MAX_AT_ONCE)
        self._token_request = token_request
        self._token = ""
        self._ended_early_at: deque[float] = deque(maxlen=100)
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        await self._client.close()

    def tokens_ended_early(self) -> int:
        """How many of our tokens were ended before their time, within an hour."""
        since = time.monotonic() - _EARLY_SECONDS
        return sum(at > since for at in self._ended_early_at)

    async def token(self, *, instead_of: str = "") -> str:
        """One renewal for all who notice at the same time that a token has ended."""
        if self._is_fresh(instead_of):
            return self._token
        async with self._lock:
            if not self._is_fresh(instead_of):
                await self._renew(is_early=bool(instead_of))
            return self._token

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
        token = await self.token()
        try:
            return await self._tried(path, fields, {**(query or {}), "access_token": token}, files, seconds)
        except ApiError as error:
            if not error.is_about_token:
                raise
        token = await self.token(instead_of=token)
        return await self._tried(path, fields, {**(query or {}), "access_token": token}, files, seconds)

    async def _tried(
        self, path: str, fields: dict[str, Any] | None, query: dict[str, str], files: Any, seconds: float
    ) -> dict[str, Any]:
        """Busy servers are asked again at once, a few times."""
        for attempt in range(1, _QUICK_TRIES + 1):
            try:
                return await self._ask(path, query, fields, files, seconds)
            except ApiError as error:
                if not error.is_busy or attempt == _QUICK_TRIES:
                    raise
            await asyncio.sleep(_QUICK_PAUSE_SECONDS * attempt)
        raise AssertionError("the last try returns or raises")

    async def _renew(self, *, is_early: bool) -> None:
        asked_at = time.monotonic()
        if is_early and asked_at < self._renew_at:
            self._ended_early_at.append(asked_at)
        wanted = self._token_request
        try:
            answer = await self._ask(wanted.path, wanted.query, wanted.fields, None, _SECONDS)
        except Unreachable as error:  # whatever became of this request, what the token is for was not asked
            raise Unreachable(str(error), never_arrived=True) from None
        seconds = float(answer.get("expires_in", _USUAL_LIFE_SECONDS))
        self._token = str(answer["access_token"])
        self._renew_at = asked_at + seconds - _RENEW_BEFORE_SECONDS
        log.info("access_token_renewed", expires_seconds=seconds)

    def _is_fresh(self, instead_of: str) -> bool:
        return bool(self._token) and self._token != instead_of and time.monotonic() < self._renew_at

    async def _ask(
        self, path: str, query: Mapping[str, str], fields: Mapping[str, Any] | None, files: Any, seconds: float
    ) -> dict[str, Any]:
        answer = await self._client.ask(path, query, fields=fields, files=files, seconds=seconds)
        code = int(answer.get("errcode") or OK)
        if code != OK:
            message = str(answer.get("errmsg", ""))
            ip = _CALLERS_IP.search(message)
            raise ApiError(code, path, is_about_message_id="msgid" in message.lower(), ip=ip[1] if ip else "")
        return answer
