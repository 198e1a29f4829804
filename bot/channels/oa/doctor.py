"""Checks the Official Account: are secret and address accepted, is it verified, was anything ever pushed?"""

import asyncio
import re
from collections.abc import Iterator
from typing import Final

from bot.channels.findings import CheckResult, fail, note, ok, warn
from bot.channels.oa import CHANNEL
from bot.channels.oa.settings import OaSettings, Replying, given
from bot.channels.stored import read_stored
from dialogue.core import last_heard
from dialogue.errors import Misconfigured

_PATIENCE_SECONDS: Final = 15.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9]{3,32}")
_ID: Final = "wx"


def examine(settings: OaSettings) -> Iterator[CheckResult]:
    """The secret is sent to WeChat only."""
    if settings.oa_app_id is None and settings.oa_secret is None:
        yield note("oa_off")
        return
    missing = [name for name, value in _needed(settings).items() if not value]
    if missing:
        yield fail("oa_incomplete", variables=", ".join(missing))
        return
    try:
        yield from _callback(settings)
        yield from asyncio.run(_ask(settings)) if settings.oa_mode is Replying.CUSTOM else [note("oa_passive")]
    except ModuleNotFoundError:
        yield fail("oa_not_installed")
        return
    yield from _pushed(settings)


def _needed(settings: OaSettings) -> dict[str, object]:
    return {
        "MINDGLM_OA_APP_ID": settings.oa_app_id,
        "MINDGLM_OA_SECRET": settings.oa_secret,
        "MINDGLM_OA_CALLBACK_TOKEN": settings.oa_callback_token,
        "MINDGLM_OA_AES_KEY": settings.oa_aes_key,
    }


def _callback(settings: OaSettings) -> Iterator[CheckResult]:
    from bot.channels.tencent.encryption import CallbackCipher

    token = given(settings.oa_callback_token, "MINDGLM_OA_CALLBACK_TOKEN")
    if not _TOKEN.fullmatch(token):
        yield fail("oa_token_shape")
    aes_key = given(settings.oa_aes_key, "MINDGLM_OA_AES_KEY")
    try:
        CallbackCipher(token=token, aes_key=aes_key, receiver_id=_ID, key_variable="MINDGLM_OA_AES_KEY")
    except Misconfigured:
        yield fail("oa_aes_key_shape")


async def _ask(settings: OaSettings) -> list[CheckResult]:
    from bot.channels.oa.api import OaApi
    from bot.channels.tencent.errors import ApiError, Unreachable

    app_id, secret = given(settings.oa_app_id, "MINDGLM_OA_APP_ID"), given(settings.oa_secret, "MINDGLM_OA_SECRET")
    try:
        api = OaApi(app_id=app_id, secret=secret, url=settings.oa_api_url)
    except Misconfigured as error:
        return [fail("oa_away", url=settings.oa_api_url, error=str(error))]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await api.ask_whether_served()
            return [ok("oa")] if await api.is_verified() else [ok("oa"), warn("oa_not_verified")]
    except ApiError as error:
        return [_refused(error.code, error.ip, error.path)]
    except (Unreachable, TimeoutError) as error:
        return [fail("oa_away", url=settings.oa_api_url, error=str(error) or type(error).__name__)]
    finally:
        await api.close()


def _refused(code: int, ip: str, path: str) -> CheckResult:
    from bot.channels.oa.errors import BLOCKED, CREDENTIALS, Code

    if code == Code.IP_NOT_LISTED:
        return fail("oa_ip_not_listed", ip=ip or "?")
    if code in CREDENTIALS:
        return fail("oa_credentials", code=code)
    if code in BLOCKED:
        return fail("oa_blocked", code=code, path=path)
    return fail("oa_refused", code=code, path=path)


def _pushed(settings: OaSettings) -> Iterator[CheckResult]:
    """When the last message came that is still kept; what was pushed while nobody listened is lost."""
    latest = read_stored(settings, lambda session: [last_heard.latest_at(session, CHANNEL)])
    for moment in latest or ():
        yield warn("oa_never_pushed") if moment is None else note("oa_pushed", at=f"{moment:%Y-%m-%d %H:%M} UTC")
