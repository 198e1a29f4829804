"""The chat platforms: are the tokens taken, can they be reached, and how are the adapters doing?"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any, Final

from bot.health import last_report
from dialogue.errors import Misconfigured
from dialogue.storage.clock import utc_now
from mindglm.doctor.findings import Finding, Patient, fail, note, ok, warn

_TOKEN: Final = re.compile(r"\d+:\S+")
_MANY_PENDING: Final = 100
_PATIENCE_SECONDS: Final = 10.0
_ENDPOINT: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d{1,5}")


def examine_telegram(patient: Patient) -> Iterator[Finding]:
    """The token is shown to nobody but Telegram."""
    token = patient.bot.telegram_token
    if token is None:
        yield note("telegram_off")
        return
    if not _TOKEN.fullmatch(token.get_secret_value().strip()):
        yield fail("telegram_token_shape")
        return
    if (url := patient.bot.telegram_webhook_url) is not None and not url.startswith("https://"):
        yield fail("telegram_webhook_http")
    try:
        yield from asyncio.run(_ask_telegram(patient))
    except ModuleNotFoundError:
        yield fail("telegram_not_installed")
    yield from _report(patient, "telegram")


def examine_wechat(patient: Patient) -> Iterator[Finding]:
    """Says hello to the puppet service and hangs up; its stream of events is left to the adapter."""
    endpoint, token = patient.bot.wechat_endpoint, patient.bot.wechat_token
    if endpoint is None and token is None:
        yield note("wechat_off")
        return
    if endpoint is None or token is None:
        yield fail("wechat_half")
        return
    if not _ENDPOINT.fullmatch(endpoint):
        yield fail("wechat_endpoint_shape")
        return
    try:
        yield from asyncio.run(_ask_puppet(endpoint, token.get_secret_value()))
    except ModuleNotFoundError:
        yield fail("wechat_not_installed")
    yield from _report(patient, "wechat")


async def _ask_telegram(patient: Patient) -> list[Finding]:
    from telegram.error import InvalidToken, TelegramError

    from bot.channels.telegram.bot_api import TokenRefused, connect

    try:
        line = connect(patient.bot)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await line.initialize()
            try:
                return [ok("telegram", username=line.bot.username), *_webhook(patient, await line.get_webhook_info())]
            finally:
                await line.shutdown()
    except (InvalidToken, TokenRefused):
        return [fail("telegram_token_refused")]
    except Misconfigured as error:
        return [fail("telegram_setting", error=error)]
    except (TelegramError, TimeoutError) as error:
        return [fail("telegram_away", error=type(error).__name__, url=patient.bot.telegram_api_url)]


def _webhook(patient: Patient, info: Any) -> Iterator[Finding]:
    if info.pending_update_count > _MANY_PENDING:
        yield warn("telegram_pending", count=info.pending_update_count)
    wanted = patient.bot.telegram_webhook_url
    if info.url and wanted is None:
        yield note("telegram_webhook_set")
    if wanted is not None and info.last_error_date is not None:
        yield warn("telegram_webhook_failed", at=info.last_error_date)


async def _ask_puppet(endpoint: str, token: str) -> list[Finding]:
    from bot.channels.wechat.puppet import LineBroken, Puppet, PuppetTrouble, TokenRefused

    puppet = Puppet(endpoint, token)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await puppet.start()
    except TokenRefused:
        return [fail("wechat_token_refused")]
    except (LineBroken, TimeoutError):
        return [fail("wechat_away", endpoint=endpoint)]
    except PuppetTrouble as error:
        return [warn("wechat_trouble", error=error)]
    finally:
        await puppet.stop()
    return [ok("wechat", endpoint=endpoint) if puppet.is_durable else warn("wechat_not_durable", endpoint=endpoint)]


def _report(patient: Patient, channel: str) -> Iterator[Finding]:
    """What the adapter of this home wrote last."""
    report = last_report(patient.bot.home.expanduser(), channel)
    if report is None:
        yield note("adapter_never_ran", channel=channel)
        return
    troubles = report.troubles(now=utc_now())
    if troubles:
        yield warn("adapter_trouble", channel=channel, troubles="; ".join(troubles))
    else:
        yield ok("adapter", channel=channel, seconds=report.last_heard_seconds)
