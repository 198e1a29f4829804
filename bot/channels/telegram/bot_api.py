"""The Bot API client (python-telegram-bot) with its logging silenced, and the meaning of its errors."""

import hashlib
import hmac
import logging
import os
import re
from typing import Any

import structlog
from telegram import Bot
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.channels.telegram import server_answers
from bot.channels.telegram.connections import Connections
from bot.channels.telegram.http_pool import TIMEOUT_SECONDS, HttpPool, NotSent, tls_context
from bot.channels.telegram.settings import TelegramSettings
from bot.channels.telegram.updates import ALLOWED
from bot.health import Health
from bot.token_refusals import Refusals
from dialogue.core.sending import back_off_seconds
from dialogue.errors import EnvironmentFault, Misconfigured
from dialogue.process.proxies import Proxy, choose

log: structlog.stdlib.BoundLogger = structlog.get_logger()

POLL_SECONDS = 25
_WITHOUT_PREVIEW = {"link_preview_options": {"is_disabled": True}}

_MAX_BACK_OFF_SECONDS = 30.0
_MAX_BACK_OFF_WHEN_AWAY_SECONDS = 1.0
"""Longest backoff without database, keys or network: short, because somebody in danger may be writing."""

_MAX_BACK_OFF_WHEN_REFUSED_SECONDS = 10.0
_LONGEST_FLOOD_SECONDS = 86_400.0
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What Telegram takes as a secret_token: https://core.telegram.org/bots/api#setwebhook."""
_TOKEN = "token"  # noqa: S105 - a warning's key


class TokenRefused(Misconfigured):
    """Telegram rejects MINDGLM_TELEGRAM_TOKEN: it is wrong or was revoked. Get a new one from @BotFather."""


def refused(refusals: Refusals, health: Health) -> None:
    """401, or 404, which Telegram and servers in between also say while they are ill. Raises `TokenRefused`."""
    is_news = not refusals.is_refused
    if refusals.refused():
        raise TokenRefused
    health.warns(_TOKEN, "Telegram refuses MINDGLM_TELEGRAM_TOKEN; it is asked again")
    (log.error if is_news else log.warning)("token_refused", is_final=False)


def accepted(refusals: Refusals, health: Health) -> None:
    """Telegram answered as it should."""
    if refusals.is_refused:
        health.settles(_TOKEN)
    refusals.accepted()


class BotApi(Bot):
    """A bot that hands over updates as Telegram sent them, so that one odd update cannot hold up the others.

    For what is done with every turn it makes no objects of answers either. Fields are those of the Bot API; None is
    left out. Raises `TelegramError`.
    """

    async def say(self, chat_id: int, text: str, **fields: Any) -> int:
        """Send a message; returns its id."""
        message = await self._post("sendMessage", {"chat_id": chat_id, "text": text, **_WITHOUT_PREVIEW, **fields})
        return server_answers.message_id(message)

    async def say_instead(self, chat_id: int, message_id: int, text: str, **fields: Any) -> None:
        """Put another text into a message of ours."""
        where = {"chat_id": chat_id, "message_id": message_id}
        await self._post("editMessageText", {**where, "text": text, **_WITHOUT_PREVIEW, **fields})

    async def copy(self, chat_id: int, message_id: int, *, to: int, **fields: Any) -> int:
        """Send a message again elsewhere, without whom it is from; returns the copy's id."""
        where = {"chat_id": to, "from_chat_id": chat_id, "message_id": message_id}
        return server_answers.message_id(await self._post("copyMessage", {**where, **fields}))

    async def file(self, file_id: str) -> Any:
        """Where a file can be fetched for an hour: `file_path` and perhaps `file_size`."""
        return await self._post("getFile", {"file_id": file_id})

    async def raw_updates(self, offset: int | None) -> list[dict[str, Any]]:
        """Long poll; whatever lies before `offset` is confirmed by it."""
        result = await self._post(
            "getUpdates",
            {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": ALLOWED},
            read_timeout=POLL_SECONDS + TIMEOUT_SECONDS,
        )
        return server_answers.updates(result)


def proxy_of(settings: TelegramSettings) -> Proxy | None:
    """Raises `Misconfigured`."""
    return choose(settings.telegram_api_url, settings.telegram_proxy, variable="MINDGLM_TELEGRAM_PROXY")


def connect(settings: TelegramSettings) -> BotApi:
    """Nothing is opened yet. Raises `Misconfigured`."""
    if settings.telegram_token is None:
        raise Misconfigured("MINDGLM_TELEGRAM_TOKEN is not set; get one from @BotFather.")
    _keep_quiet()
    proxy = proxy_of(settings)
    proxy_url = proxy.url if proxy is not None else None
    tls = tls_context()
    try:
        return BotApi(
            settings.telegram_token.get_secret_value().strip(),
            base_url=settings.telegram_api_url,
            request=Connections(proxy_url, tls),
            get_updates_request=HttpPool(1, proxy_url, tls),
        )
    except InvalidToken:
        raise TokenRefused from None
    except (ValueError, RuntimeError, ImportError) as error:
        source = proxy.source if proxy is not None else "MINDGLM_TELEGRAM_API_URL"
        raise Misconfigured(f"{source} cannot be used ({type(error).__name__}).") from None


def webhook_secret(settings: TelegramSettings) -> str:
    """The secret that Telegram sends with each update: from the settings, or derived from the token.

    Raises `Misconfigured` for one that Telegram would refuse.
    """
    if settings.telegram_webhook_secret is not None:
        secret = settings.telegram_webhook_secret.get_secret_value()
        if not _SECRET.fullmatch(secret):
            raise Misconfigured("MINDGLM_TELEGRAM_WEBHOOK_SECRET must be 1 to 256 letters, digits, _ or -.")
        return secret
    token = settings.telegram_token.get_secret_value().strip() if settings.telegram_token else ""
    return hmac.new(token.encode(), b"mindglm webhook", hashlib.sha256).hexdigest()


def retry_seconds(error: RetryAfter) -> float:
    """The wait that Telegram asks for."""
    wait = error.retry_after
    seconds = float(wait) if isinstance(wait, int) else wait.total_seconds()
    return min(max(seconds, 0.0), _LONGEST_FLOOD_SECONDS)


def wait_seconds(error: Exception, count: int) -> float:
    """Backoff after that many failures in a row."""
    if isinstance(error, RetryAfter):
        return retry_seconds(error)
    is_away = isinstance(error, EnvironmentFault | TimeoutError | NetworkError) and not isinstance(error, BadRequest)
    longest = _MAX_BACK_OFF_WHEN_AWAY_SECONDS if is_away else _MAX_BACK_OFF_SECONDS
    if isinstance(error, InvalidToken):
        longest = _MAX_BACK_OFF_WHEN_REFUSED_SECONDS
    return back_off_seconds(count, first_seconds=0.25, max_seconds=longest)


def never_arrived(error: TelegramError) -> bool:
    """Whether the request certainly had no effect: it never left, or was answered by an error.

    Otherwise the connection broke after the request was sent and before a readable answer: the outcome is unknown.
    """
    cause = error.__cause__
    return cause is None or isinstance(cause, NotSent | TelegramError)


_TOPIC_IS_GONE = ("message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid", "thread_id_invalid")


def is_topic_gone(error: BadRequest) -> bool:
    """Whether the chat is there, and the topic that was named is not, or takes no messages."""
    return any(words in error.message.lower() for words in _TOPIC_IS_GONE)


def _keep_quiet() -> None:
    """The libraries log requests and responses that they cannot parse: people's words, and addresses with the token."""
    for name in ("telegram", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    os.environ.setdefault("PTB_TIMEDELTA", "true")  # else it warns about its own old type at each flood control
