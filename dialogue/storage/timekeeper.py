"""Synchronises this process's clock with the database's: leases, due times and ids are compared between hosts."""

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
    """Read the database server's time; with SQLite the host's clock is used. Raises `DatabaseUnavailable`."""
    if database.engine.dialect.name != "postgresql":
        return
    with database.read() as session:
        session.execute(text("SELECT 1"))  # connect before the time is measured
        for _ in range(_ASKED):
            asked_at_ns = time.monotonic_ns()
            true_ns = int(session.scalars(_NOW).one() * _NS)
            clock.follow(true_ns, asked_at_ns=asked_at_ns, answered_at_ns=time.monotonic_ns())
    host_ahead_seconds = (time.time_ns() - clock.epoch_ns()) / _NS
    if abs(host_ahead_seconds) > _TOLD_FROM_SECONDS:
        log.warning("host_clock_differs", ahead_seconds=round(host_ahead_seconds, 1))
