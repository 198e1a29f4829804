"""Checks Telegram: is the token accepted, is Telegram reachable, does the webhook work?"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any, Final

from bot.channels.findings import CheckResult, fail, note, ok, warn
from bot.channels.telegram.settings import TelegramSettings
from dialogue.errors import Misconfigured

_TOKEN: Final = re.compile(r"\d+:\S+")
_MANY_PENDING: Final = 100
_PATIENCE_SECONDS: Final = 10.0


def examine(settings: TelegramSettings) -> Iterator[CheckResult]:
    """The token is sent to Telegram only."""
    token = settings.telegram_token
    if token is None:
        yield note("telegram_off")
        return
    if not _TOKEN.fullmatch(token.get_secret_value().strip()):
        yield fail("telegram_token_shape")
        return
    if (url := settings.telegram_webhook_url) is not None and not url.startswith("https://"):
        yield fail("telegram_webhook_http")
    try:
        yield from asyncio.run(_ask(settings))
    except ModuleNotFoundError:
        yield fail("telegram_not_installed")


async def _ask(settings: TelegramSettings) -> list[CheckResult]:
    from telegram.error import InvalidToken, TelegramError

    from bot.channels.telegram.bot_api import TokenRefused, connect

    try:
        api = connect(settings)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await api.initialize()
                return [ok("telegram", username=api.bot.username), *_webhook(settings, await api.get_webhook_info())]
        finally:
            await api.shutdown()  # also when it could not be asked
    except (InvalidToken, TokenRefused):
        return [fail("telegram_token_refused")]
    except Misconfigured as error:
        return [fail("telegram_setting", error=error)]
    except (TelegramError, TimeoutError) as error:
        return [fail("telegram_away", error=type(error).__name__, url=settings.telegram_api_url)]


def _webhook(settings: TelegramSettings, info: Any) -> Iterator[CheckResult]:
    if info.pending_update_count > _MANY_PENDING:
        yield warn("telegram_pending", count=info.pending_update_count)
    wanted = settings.telegram_webhook_url
    if info.url and wanted is None:
        yield note("telegram_webhook_set")
    if wanted is not None and info.last_error_date is not None:
        yield warn("telegram_webhook_failed", at=info.last_error_date)
