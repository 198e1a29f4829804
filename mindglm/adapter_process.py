"""Runs a chat platform's adapter as a process, and reports the health of a running one; the same for every platform."""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

import structlog

from bot.channels import registry
from bot.channels.channel import Channel
from bot.channels.runtime import Runtime
from bot.health import Deaf, last_report
from bot.incoming.consent_terms import warn_if_nobody_is_asked
from bot.services import BotServices
from care import screening
from dialogue.errors import Misconfigured, SchemaMismatch
from dialogue.process import event_loop, home, memory, switching
from dialogue.process.ending import running_tasks
from dialogue.process.exit_status import ExitStatus, status_of
from dialogue.process.logs import configure
from dialogue.process.opening import upgrade_own
from dialogue.process.settings import DialogueSettings
from dialogue.process.stop_limit import StopLimit
from dialogue.process.systemd import notify_ready
from dialogue.storage.clock import utc_now
from dialogue.telemetry.heartbeat import Identity
from dialogue.telemetry.watch import Watch
from mindglm import language, unknown_settings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_STOP_SECONDS = 60.0
"""Longest time from SIGTERM to the end; a supervisor's own limit should be a little longer."""


def load(channel: Channel[Any]) -> None:
    """Import all that the adapter needs, if it is installed; `run` says what is missing."""
    process = registry.process_of(channel)
    process.settings()
    with contextlib.suppress(ModuleNotFoundError):
        process.adapter()


def run(channel: Channel[Any]) -> int:
    """Returns the exit status (`ExitStatus`). Raises `DialogueError` for what is found before it runs."""
    settings = registry.process_of(channel).settings().read()
    configure(settings)
    unknown_settings.warn()
    warn_if_nobody_is_asked(settings)
    load(channel)
    memory.keep_together()
    switching.hand_over_soon()
    try:
        registry.check_accounts(settings)
        upgrade_own(settings)
        screening.warm()
        services = BotServices.open(settings)
        stop_limit = StopLimit(_STOP_SECONDS)
        try:
            event_loop.run(_serve(channel, settings, services, stop_limit))
        finally:
            services.close()
            stop_limit.met()
    except (Misconfigured, SchemaMismatch) as error:
        language.echo(f"mindglm {channel.name}: {error}", to_stderr=True)
        return status_of(error)
    except Deaf as error:
        language.echo(f"mindglm {channel.name}: {error}; this process ends so that a new one starts", to_stderr=True)
        return ExitStatus.FAILED
    return ExitStatus.OK


def report(channel: str, settings: DialogueSettings) -> int:
    """Print the running adapter's health as JSON; returns 0 if all is well, else 1."""
    last = last_report(home.home(settings), channel)
    troubles = last.troubles(now=utc_now()) if last is not None else [f"no {channel} adapter has run in this home"]
    sys.stdout.write(json.dumps({"report": asdict(last) if last is not None else None, "troubles": troubles}) + "\n")
    return 1 if troubles else 0


async def _serve(
    channel: Channel[Any], settings: DialogueSettings, services: BotServices, stop_limit: StopLimit
) -> None:
    adapter = _open(channel, settings, services)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stop_limit.begin(waited_for=partial(running_tasks, loop))
        adapter.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    watch = Watch(
        database=services.database,
        me=Identity(kind=channel.name, name=channel.name),
        figures=adapter.figures,
        checks={"broker": services.signals.check, channel.name: adapter.trouble},
        instruments=services.instruments,
        settings=settings,
        metrics_offset=registry.process_of(channel).metrics_offset,
        keys=services.keys,
    )
    watch.start()

    event = f"{channel.name}_ready"

    def on_ready() -> None:
        log.info(event)
        notify_ready()
        memory.settle()

    try:
        await adapter.run(on_ready)
    finally:
        watch.stop()


def _open(channel: Channel[Any], settings: DialogueSettings, services: BotServices) -> Runtime:
    """Raises `Misconfigured` where the platform's library is not installed."""
    process = registry.process_of(channel)
    try:
        open_adapter = process.adapter()
    except ModuleNotFoundError as error:
        label = channel.words("en").label
        install = f": pip install 'mindglm-bot[{process.extra}]'" if process.extra else ""
        raise Misconfigured(f"{label} needs {error.name}, which is not installed{install}") from error
    return open_adapter(services, settings, home.home(settings))
