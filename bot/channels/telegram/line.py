"""The line to Telegram's Bot API: python-telegram-bot's client, kept quiet, and what its errors mean to us."""

import hashlib
import hmac
import logging
import os
from typing import Any

import httpx
from telegram import Bot
from telegram.error import InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from bot.channels.telegram.updates import ALLOWED
from bot.settings import BotSettings
from dialogue.errors import Misconfigured

POLL_SECONDS = 25

_TIMEOUT_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class TokenRefused(Misconfigured):
    """Telegram refuses MINDGLM_TELEGRAM_TOKEN: it is wrong, or was revoked. @BotFather gives a new one."""


class Line(Bot):
    """A bot that hands over updates as Telegram sent them, so that one odd update cannot hold up the others."""

    async def raw_updates(self, offset: int | None) -> list[dict[str, Any]]:
        """Long poll; whatever lies before `offset` is confirmed by it. Raises `TelegramError`."""
        updates = await self._post(
            "getUpdates",
            {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": ALLOWED},
            read_timeout=POLL_SECONDS + _TIMEOUT_SECONDS,
        )
        return list(updates)


def connect(settings: BotSettings, *, max_connections: int) -> Line:
    """Nothing is opened yet. Raises `Misconfigured`."""
    if settings.telegram_token is None:
        raise Misconfigured("MINDGLM_TELEGRAM_TOKEN is not set; @BotFather gives one.")
    _keep_quiet()
    proxy = settings.telegram_proxy.get_secret_value() if settings.telegram_proxy else None
    try:
        return Line(
            settings.telegram_token.get_secret_value().strip(),
            base_url=settings.telegram_api_url,
            request=_request(max_connections, proxy),
            get_updates_request=_request(1, proxy),
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


def never_arrived(error: TelegramError) -> bool:
    """Whether the request certainly had no effect: it never left, or was answered by an error.

    Otherwise the line broke between the request and an answer that could be read, and nobody knows.
    """
    cause = error.__cause__
    return cause is None or isinstance(cause, (*_NEVER_LEFT, TelegramError))


def _request(max_connections: int, proxy: str | None) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=max_connections,
        read_timeout=_TIMEOUT_SECONDS,
        write_timeout=_TIMEOUT_SECONDS,
        connect_timeout=_CONNECT_SECONDS,
        pool_timeout=_TIMEOUT_SECONDS,
        proxy=proxy,
    )


def _keep_quiet() -> None:
    """The library logs whole answers that it cannot read, and with them people's words; httpx logs the token."""
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("PTB_TIMEDELTA", "true")  # else it warns about its own old type at each flood control
