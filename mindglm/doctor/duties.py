"""Checks the duties to people: verified hotlines, consent, and an admin who is alerted in a crisis."""

from collections.abc import Iterator
from datetime import UTC, datetime

from bot.channels.findings import CheckResult, note, ok, warn
from dialogue.process.duty_hours import DutyHours
from dialogue.process.region import directory_of
from mindglm.doctor.findings import Patient


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
    hours = DutyHours.parse(getattr(settings, "duty_hours", ""))
    yield note("duty_hours_none") if hours is None else ok("duty_hours", hours=hours.spoken("en"))
