"""Checks WeChat: does the puppet service answer, and does it keep unacknowledged messages?"""

import asyncio
import re
from collections.abc import Iterator
from typing import Final

from bot.channels.findings import CheckResult, fail, note, ok, warn
from bot.channels.wechat.settings import WechatSettings

_PATIENCE_SECONDS: Final = 10.0
_ENDPOINT: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d{1,5}")


def examine(settings: WechatSettings) -> Iterator[CheckResult]:
    """Calls the puppet service once; its event stream is left to the adapter."""
    endpoint, token = settings.wechat_endpoint, settings.wechat_token
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
        yield from asyncio.run(_ask(endpoint, token.get_secret_value()))
    except ModuleNotFoundError:
        yield fail("wechat_not_installed")


async def _ask(endpoint: str, token: str) -> list[CheckResult]:
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
