"""Handles a platform's report that an accepted text was not delivered."""

from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from bot.admission import URGENT
from bot.executors import Executors, PriorityExecutor
from bot.meters import UNMETERED, BotMeters
from bot.outgoing.crisis_alarms import CrisisAlarms
from dialogue.core import sending
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounces:
    """Where an adapter reports it; one for all channels of a process."""

    database: Database
    alarms: CrisisAlarms
    meters: BotMeters = UNMETERED
    executor: PriorityExecutor = field(default_factory=lambda: Executors().delivery)
    clock: Clock = utc_now

    async def report(self, delivery_id: UUID, *, reason: str) -> bool:
        """Mark it, and alert the admins where it was crisis words; False for a repeat. Raises `DatabaseUnavailable`.

        `reason` is a short name, never a text.
        """
        return await self.executor.run(partial(self._report, delivery_id, reason), priority=URGENT)

    def _report(self, delivery_id: UUID, reason: str) -> bool:
        now = self.clock()
        with self.database.begin() as session:
            bounced = sending.mark_bounced(session, delivery_id, reason=reason)
            if bounced is not None:
                self.alarms.bounced(session, bounced, now=now)
        if bounced is None:
            log.info("bounce_without_delivery", delivery_id=str(delivery_id), reason=reason)
            return False
        log.warning("delivery_bounced", delivery_id=str(delivery_id), channel=bounced.channel, reason=reason)
        self.meters.bounced(bounced.channel)
        return True
