"""A chat platform's adapter as a process, and a look at how the running one is doing; the same for every platform."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Protocol

import structlog

from bot.health import Deaf, last_report
from bot.incoming.consent import warn_if_nobody_is_asked
from bot.services import BotServices
from bot.settings import BotSettings
from dialogue.errors import Misconfigured, SchemaMismatch
from dialogue.process import home
from dialogue.process.logs import configure
from dialogue.process.opening import upgrade_own
from dialogue.process.systemd import notify_ready
from dialogue.storage.clock import utc_now
from dialogue.tables import Figure
from dialogue.telemetry.heartbeat import Identity
from dialogue.telemetry.watch import Watch

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Adapter(Protocol):
    """What listens and speaks on one platform."""

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until stopped; raises `Misconfigured` for what no restart mends, `Deaf` for what one may."""

    def stop(self) -> None: ...

    def figures(self) -> Mapping[str, Figure]: ...

    def trouble(self) -> str | None: ...


def run(channel: str, settings: BotSettings, make: Callable[[BotServices], Adapter]) -> int:
    """Returns the exit status: 0 when stopped, 78 for what no restart mends, 1 when a restart may help.

    Raises `DialogueError` for a database that is away at the start.
    """
    configure(settings)
    warn_if_nobody_is_asked(settings)
    try:
        upgrade_own(settings)
        services = BotServices.open(settings)
        try:
            asyncio.run(_serve(channel, settings, services, make))
        finally:
            services.close()
    except (Misconfigured, SchemaMismatch) as error:
        sys.stderr.write(f"mindglm {channel}: {error}\n")
        return os.EX_CONFIG
    except Deaf as error:
        sys.stderr.write(f"mindglm {channel}: {error}; this process ends so that a new one starts\n")
        return 1
    return 0


def report(channel: str, settings: BotSettings) -> int:
    """Print how the running adapter is doing, as JSON; returns 0 if all is well, else 1."""
    last = last_report(home.home(settings), channel)
    troubles = last.troubles(now=utc_now()) if last is not None else [f"no {channel} adapter has run in this home"]
    sys.stdout.write(json.dumps({"report": asdict(last) if last is not None else None, "troubles": troubles}) + "\n")
    return 1 if troubles else 0


async def _serve(
    channel: str, settings: BotSettings, services: BotServices, make: Callable[[BotServices], Adapter]
) -> None:
    adapter = make(services)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, adapter.stop)
    watch = Watch(
        database=services.database,
        me=Identity(kind=channel, name=channel),
        figures=adapter.figures,
        checks={"broker": services.signals.check, channel: adapter.trouble},
        instruments=services.instruments,
        settings=settings,
    )
    watch.start()

    event = f"{channel}_ready"

    def on_ready() -> None:
        log.info(event)
        notify_ready()

    try:
        await adapter.run(on_ready)
    finally:
        watch.stop()
