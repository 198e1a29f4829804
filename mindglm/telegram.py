"""`mindglm telegram`: the Telegram adapter as a process, and a look at how the running one is doing."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from dataclasses import asdict

import structlog

from bot.channels.telegram import CHANNEL
from bot.channels.telegram.adapter import Adapter
from bot.channels.telegram.polling import Deaf
from bot.consent import warn_if_nobody_is_asked
from bot.health import last_report
from bot.room import Room
from bot.settings import BotSettings
from dialogue import home, schema
from dialogue.clock import utc_now
from dialogue.database import connect
from dialogue.errors import Misconfigured, SchemaMismatch
from dialogue.logs import configure
from dialogue.presence import Identity
from dialogue.readiness import notify_ready
from dialogue.watch import Watch

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_M_ARENA_MAX = -8  # mallopt(3)


def run(settings: BotSettings) -> int:
    """Returns the exit status: 0 when stopped, 78 for what no restart mends, 1 when a restart may help.

    Raises `DialogueError` for a database that is away at the start.
    """
    configure(settings)
    warn_if_nobody_is_asked(settings)
    _keep_memory_together()
    try:
        if settings.database_url is None:
            _upgrade(settings)
        room = Room.open(settings)
        try:
            asyncio.run(_serve(room, settings))
        finally:
            room.close()
    except (Misconfigured, SchemaMismatch) as error:
        sys.stderr.write(f"mindglm telegram: {error}\n")
        return os.EX_CONFIG
    except Deaf:
        sys.stderr.write(
            "mindglm telegram: polling breaks again and again; this process ends so that a new one starts\n"
        )
        return 1
    return 0


def report(settings: BotSettings) -> int:
    """Print how the running adapter is doing, as JSON; returns 0 if all is well, else 1."""
    last = last_report(home.home(settings), CHANNEL)
    troubles = last.troubles(now=utc_now()) if last is not None else ["no Telegram adapter has run in this home"]
    sys.stdout.write(json.dumps({"report": asdict(last) if last is not None else None, "troubles": troubles}) + "\n")
    return 1 if troubles else 0


async def _serve(room: Room, settings: BotSettings) -> None:
    adapter = Adapter(room, settings, home=home.home(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, adapter.stop)
    watch = Watch(
        database=room.database,
        me=Identity(kind=CHANNEL, name=CHANNEL),
        figures=adapter.figures,
        checks={"broker": room.signals.check, CHANNEL: adapter.trouble},
        instruments=room.instruments,
        settings=settings,
    )
    watch.start()
    try:
        await adapter.run(_on_ready)
    finally:
        watch.stop()


def _on_ready() -> None:
    log.info("telegram_ready")
    notify_ready()


def _upgrade(settings: BotSettings) -> None:
    database = connect(home.database_url(settings))
    try:
        schema.upgrade(database)
    finally:
        database.close()


def _keep_memory_together() -> None:
    """glibc gives each thread a heap of its own; with a thread for each transaction that is a waste of megabytes."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
