"""The line to Telegram's Bot API: python-telegram-bot's client, kept quiet, and what its errors mean to us."""

import asyncio
import hashlib
import hmac
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import httpx
from telegram import Bot
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from bot.channels.telegram.updates import ALLOWED
from bot.settings import BotSettings
from dialogue.core.sending import back_off_seconds
from dialogue.errors import DatabaseUnavailable, Misconfigured

POLL_SECONDS = 25

_MAX_BACK_OFF_SECONDS = 30.0
_MAX_BACK_OFF_WHEN_AWAY_SECONDS = 1.0
"""While the database or the line is away: somebody in danger may be writing, and trying costs little."""
_TIMEOUT_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_IDLE_CONNECTIONS = 8
"""The client looks at every idle connection before each request."""

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

Tell = Callable[[], Awaitable[None]]
_TELL: ContextVar[Tell | None] = ContextVar("tell", default=None)


class TokenRefused(Misconfigured):
    """Telegram refuses MINDGLM_TELEGRAM_TOKEN: it is wrong, or was revoked. @BotFather gives a new one."""


class BotApi(Bot):
    """A bot that hands over updates as Telegram sent them, so that one odd update cannot hold up the others."""

    async def raw_updates(self, offset: int | None) -> list[dict[str, Any]]:
        """Long poll; whatever lies before `offset` is confirmed by it. Raises `TelegramError`."""
        updates = await self._post(
            "getUpdates",
            {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": ALLOWED},
            read_timeout=POLL_SECONDS + _TIMEOUT_SECONDS,
        )
        return list(updates)


def connect(settings: BotSettings, *, max_connections: int) -> BotApi:
    """Nothing is opened yet. Raises `Misconfigured`."""
    if settings.telegram_token is None:
        raise Misconfigured("MINDGLM_TELEGRAM_TOKEN is not set; @BotFather gives one.")
    _keep_quiet()
    proxy = settings.telegram_proxy.get_secret_value() if settings.telegram_proxy else None
    tls = httpx.create_ssl_context()  # one for both clients: each would hold all the certificate authorities
    try:
        return BotApi(
            settings.telegram_token.get_secret_value().strip(),
            base_url=settings.telegram_api_url,
            request=_request(max_connections, proxy, tls),
            get_updates_request=_request(1, proxy, tls),
        )
    except InvalidToken:
        raise TokenRefused from None
    except (ValueError, RuntimeError) as error:
        raise Misconfigured(f"MINDGLM_TELEGRAM_PROXY cannot be used ({type(error).__name__}).") from None


def webhook_secret(settings: BotSettings) -> str:
    """What Telegram shows with each update: set, or the same for all who know the token."""
    if settings.telegram_webhook_secret is not None:
        return settings.telegram_webhook_secret.get_secret_value()
    token = settings.telegram_token.get_secret_value().strip() if settings.telegram_token else ""
    return hmac.new(token.encode(), b"mindglm webhook", hashlib.sha256).hexdigest()


def retry_seconds(error: RetryAfter) -> float:
    """How long Telegram wants us to wait."""
    wait = error.retry_after
    return float(wait) if isinstance(wait, int) else wait.total_seconds()


def wait_seconds(error: Exception, count: int) -> float:
    """How long to wait after that many failed tries in a row."""
    if isinstance(error, RetryAfter):
        return retry_seconds(error)
    is_away = isinstance(error, DatabaseUnavailable | TimeoutError | NetworkError) and not isinstance(error, BadRequest)
    longest = _MAX_BACK_OFF_WHEN_AWAY_SECONDS if is_away else _MAX_BACK_OFF_SECONDS
    return back_off_seconds(count, first_seconds=0.25, max_seconds=longest)


def never_arrived(error: TelegramError) -> bool:
    """Whether the request certainly had no effect: it never left, or was answered by an error.

    Otherwise the line broke between the request and an answer that could be read, and nobody knows.
    """
    cause = error.__cause__
    return cause is None or isinstance(cause, (*_NEVER_LEFT, TelegramError))


@contextmanager
def told_before_it_leaves(tell: Tell) -> Iterator[None]:
    """A request made in this block awaits `tell` when it has its connection, just before the first byte is written."""
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


class _Gate:
    """Lets one announced request at a time pass from its announcement to its last byte.

    So a process that dies leaves at most one request of which nobody knows whether it was written.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def watch(self, request: httpx.Request) -> None:
        """For httpx's hooks; the client's own trace then says how far the request is."""
        tell = _TELL.get()
        if tell is not None:
            request.extensions["trace"] = partial(self._trace, tell)

    async def _trace(self, tell: Tell, event: str, _info: object) -> None:
        if event.endswith("send_request_headers.started"):
            await self._lock.acquire()
            try:
                await tell()
            except BaseException:
                self._lock.release()  # the client reports no end of what it could not start
                raise
        elif event.endswith(("send_request_body.complete", "send_request_body.failed", "send_request_headers.failed")):
            self._lock.release()


def _request(max_connections: int, proxy: str | None, tls: ssl.SSLContext) -> HTTPXRequest:
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=_IDLE_CONNECTIONS)
    return HTTPXRequest(
        read_timeout=_TIMEOUT_SECONDS,
        write_timeout=_TIMEOUT_SECONDS,
        connect_timeout=_CONNECT_SECONDS,
        pool_timeout=_TIMEOUT_SECONDS,
        proxy=proxy,
        httpx_kwargs={"limits": limits, "verify": tls, "event_hooks": {"request": [_Gate().watch]}},
    )


def _keep_quiet() -> None:
    """The library logs whole answers that it cannot read, and with them people's words; httpx logs the token."""
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("PTB_TIMEDELTA", "true")  # else it warns about its own old type at each flood control
