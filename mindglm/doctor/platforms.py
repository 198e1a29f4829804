"""Checks the chat platforms: each channel's own checks, and the health of this home's adapters."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from bot.channels import registry
from bot.channels.channel import Channel
from bot.channels.findings import CheckResult, note, ok, warn
from bot.health import last_report
from dialogue.storage.clock import utc_now
from mindglm.doctor.findings import Examination, Patient


def examinations() -> list[Examination]:
    """One for each platform."""
    return [Examination(channel.name, partial(examine, channel)) for channel in registry.platforms()]


def examine(channel: Channel[Any], patient: Patient) -> Iterator[CheckResult]:
    """Raises `Misconfigured` where the channel's settings cannot be used."""
    process = registry.process_of(channel)
    settings = process.settings().read()
    yield from process.doctor()(settings)
    if process.is_on(settings):
        yield from _report(patient, channel.name)


def _report(patient: Patient, channel: str) -> Iterator[CheckResult]:
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
