"""Checks the duties to people: verified hotlines, consent, and an admin who is alerted in a crisis."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.channels.findings import CheckResult, fail, note, ok, warn
from dialogue.process.duty_hours import DutyHours
from dialogue.process.region import directory_of
from mindglm.doctor.findings import Patient

if TYPE_CHECKING:
    from console.settings import ConsoleSettings


def examine(patient: Patient) -> Iterator[CheckResult]:
    """Raises `Misconfigured` for a region that does not ship."""
    settings = patient.bot
    directory = directory_of(settings.region)
    if stale := directory.stale(datetime.now(UTC).date()):
        yield warn("hotlines_stale", region=settings.region, numbers=", ".join(line.number for line in stale))
    else:
        yield ok("hotlines", region=settings.region, count=len(directory.lines))
    if getattr(settings, "consent", "required") == "off":
        yield warn("consent_off")
    if not getattr(settings, "admins", True):
        yield warn("admins_none")
    yield from _console()
    hours = DutyHours.parse(getattr(settings, "duty_hours", ""))
    yield note("duty_hours_none") if hours is None else ok("duty_hours", hours=hours.spoken("en"))


def _console() -> Iterator[CheckResult]:
    """Where the console stands behind a proxy, and what is asked of who signs in."""
    with contextlib.suppress(ModuleNotFoundError):
        from console.settings import ConsoleSettings

        settings = ConsoleSettings.read()
        listens_elsewhere = settings.console_host not in {"127.0.0.1", "localhost", "::1"}
        if settings.console_url and listens_elsewhere and settings.console_proxies == "127.0.0.1":
            yield warn("console_proxies", listen=settings.console_listen)
        if settings.console_second_factor != "required":
            yield warn("console_one_factor")
        yield from single_sign_on(settings)


def single_sign_on(settings: "ConsoleSettings") -> Iterator[CheckResult]:
    """Whether staff could sign in through it now. Needs no account there."""
    from console.single_sign_on import CALLBACK_PATH, ProviderUnavailable, provider_of

    provider = provider_of(settings)
    if provider is None:
        return
    if settings.console_url is None:
        yield warn("oidc_no_url", path=CALLBACK_PATH)
    try:
        provider.check()
    except ProviderUnavailable as error:
        yield fail("oidc_unavailable", issuer=provider.issuer, error=type(error.__cause__ or error).__name__)
    else:
        yield ok("oidc", issuer=provider.issuer, callback=f"{settings.console_url or ''}{CALLBACK_PATH}")
