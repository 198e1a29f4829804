"""`mindglm wechat`: the WeChat adapter as a process, and a look at how the running one is doing."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict

import structlog

from bot.channels.wechat import CHANNEL
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


def run(settings: BotSettings) -> int:
    """Returns the exit status: 0 only when stopped, 78 for what no restart mends.

    Raises `DialogueError` for a database that is away at the start.
    """
    configure(settings)
    warn_if_nobody_is_asked(settings)
    try:
        if settings.database_url is None:
            _upgrade(settings)
        room = Room.open(settings)
        try:
            asyncio.run(_serve(room, settings))
        finally:
            room.close()
    except (Misconfigured, SchemaMismatch) as error:
        sys.stderr.write(f"mindglm wechat: {error}\n")
        return os.EX_CONFIG
    return 0


def report(settings: BotSettings) -> int:
    """Print how the running adapter is doing, as JSON; returns 0 if all is well, else 1."""
    last = last_report(home.home(settings), CHANNEL)
    troubles = last.troubles(now=utc_now()) if last is not None else ["no WeChat adapter has run in this home"]
    sys.stdout.write(json.dumps({"report": asdict(last) if last is not None else None, "troubles": troubles}) + "\n")
    return 1 if troubles else 0


async def _serve(room: Room, settings: BotSettings) -> None:
    try:
        from bot.channels.wechat.adapter import Adapter
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"WeChat needs the extra `wechat` ({error.name} is missing): pip install 'mindglm-bot[wechat]'"
        ) from error
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
    log.info("wechat_ready")
    notify_ready()


def _upgrade(settings: BotSettings) -> None:
    database = connect(home.database_url(settings))
    try:
        schema.upgrade(database)
    finally:
        database.close()
