"""Lets this process tell the database's time: leases, due times and ids are compared between hosts."""

import time

import structlog
from sqlalchemy import text

from dialogue.storage import clock
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PERIOD_SECONDS = 10.0
_TOLD_FROM_SECONDS = 2.0
_ASKED = 3

_NOW = text("SELECT extract(epoch FROM clock_timestamp())")
_NS = 1_000_000_000


def agree(database: Database) -> None:
    """Ask a server what time it is; a SQLite file has only this host's clock. Raises `DatabaseUnavailable`."""
    if database.engine.dialect.name != "postgresql":
        return
    with database.read() as session:
        session.execute(text("SELECT 1"))  # the connection stands before the time is taken
        for _ in range(_ASKED):
            asked_at_ns = time.monotonic_ns()
            true_ns = int(session.scalars(_NOW).one() * _NS)
            clock.follow(true_ns, asked_at_ns=asked_at_ns, answered_at_ns=time.monotonic_ns())
    host_ahead_seconds = (time.time_ns() - clock.epoch_ns()) / _NS
    if abs(host_ahead_seconds) > _TOLD_FROM_SECONDS:
        log.warning("host_clock_differs", ahead_seconds=round(host_ahead_seconds, 1))
