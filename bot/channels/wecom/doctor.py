"""Checks WeCom: does it accept the secret and our address, which accounts are there, was the callback ever called?"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from bot.channels.findings import CheckResult, fail, note, ok, warn
from bot.channels.stored import read_stored
from bot.channels.wecom import CHANNEL
from bot.channels.wecom.settings import WecomSettings, given, names
from dialogue.core import cursors
from dialogue.errors import Misconfigured

_PATIENCE_SECONDS: Final = 15.0


def examine(settings: WecomSettings) -> Iterator[CheckResult]:
    """The secret is sent to WeCom only."""
    if settings.wecom_corp_id is None and settings.wecom_secret is None:
        yield note("wecom_off")
        return
    missing = [name for name, value in _needed(settings).items() if not value]
    if missing:
        yield fail("wecom_incomplete", variables=", ".join(missing))
        return
    try:
        yield from asyncio.run(_ask(settings))
    except ModuleNotFoundError:
        yield fail("wecom_not_installed")
        return
    yield from _heard(settings)


def _needed(settings: WecomSettings) -> dict[str, object]:
    return {
        "MINDGLM_WECOM_CORP_ID": settings.wecom_corp_id,
        "MINDGLM_WECOM_SECRET": settings.wecom_secret,
        "MINDGLM_WECOM_CALLBACK_TOKEN": settings.wecom_callback_token,
        "MINDGLM_WECOM_AES_KEY": settings.wecom_aes_key,
    }


async def _ask(settings: WecomSettings) -> list[CheckResult]:
    from bot.channels.tencent.encryption import CallbackCipher
    from bot.channels.tencent.errors import ApiError, Unreachable
    from bot.channels.wecom.api import Api

    corp_id = given(settings.wecom_corp_id, "MINDGLM_WECOM_CORP_ID")
    secret = given(settings.wecom_secret, "MINDGLM_WECOM_SECRET")
    token = given(settings.wecom_callback_token, "MINDGLM_WECOM_CALLBACK_TOKEN")
    aes_key = given(settings.wecom_aes_key, "MINDGLM_WECOM_AES_KEY")
    try:
        api = Api(corp_id=corp_id, secret=secret, url=settings.wecom_api_url)
    except Misconfigured as error:
        return [fail("wecom_away", url=settings.wecom_api_url, error=str(error))]
    try:
        CallbackCipher(token=token, aes_key=aes_key, receiver_id=corp_id, key_variable="MINDGLM_WECOM_AES_KEY")
        async with asyncio.timeout(_PATIENCE_SECONDS):
            found = {account.id: account.name for account in await api.accounts()}
            wanted = names(settings.wecom_accounts)
            served = [account for account in found if not wanted or account in wanted]
            results = [_accounts(served)]
            results += [fail("wecom_account_unknown", account=account) for account in wanted if account not in found]
            for account in served:
                results += _duty(account, await api.on_duty(account), names(settings.wecom_servicers))
            return results
    except Misconfigured:
        return [fail("wecom_aes_key_shape")]
    except ApiError as error:
        return [_refused(error.code, error.ip, error.path)]
    except (Unreachable, TimeoutError) as error:
        return [fail("wecom_away", url=settings.wecom_api_url, error=str(error) or type(error).__name__)]
    finally:
        await api.close()


def _accounts(served: list[str]) -> CheckResult:
    return ok("wecom", count=len(served)) if served else fail("wecom_no_accounts")


def _duty(account: str, on_duty: list[str], servicers: list[str]) -> Iterator[CheckResult]:
    """Colleagues on duty may take every new session before the bot can answer."""
    if on_duty and not servicers:
        yield warn("wecom_colleagues_on_duty", account=account, count=len(on_duty))
    if servicers and not set(servicers) & set(on_duty):
        yield note("wecom_nobody_on_duty", account=account)


def _refused(code: int, ip: str, path: str) -> CheckResult:
    from bot.channels.wecom.errors import NO_RIGHTS, REFUSED_FOR_GOOD, SWITCHED_OFF, Code

    if code == Code.IP_NOT_LISTED:
        return fail("wecom_ip_not_listed", ip=ip or "?")
    if code in REFUSED_FOR_GOOD:
        return fail("wecom_credentials", code=code)
    if code in NO_RIGHTS:
        return fail("wecom_no_right", code=code, path=path)
    if code in SWITCHED_OFF:
        return fail("wecom_switched_off", code=code)
    return fail("wecom_refused", code=code, path=path)


def _heard(settings: WecomSettings) -> Iterator[CheckResult]:
    """When each account was last noticed: without notices messages wait for up to five minutes."""
    pulls = read_stored(settings, lambda session: cursors.last_pulls(session, CHANNEL))
    for pull in pulls or ():
        if pull.noticed_at is None:
            yield warn("wecom_never_noticed", account=pull.account)
        else:
            yield note("wecom_noticed", account=pull.account, at=_minute(pull.noticed_at))


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
