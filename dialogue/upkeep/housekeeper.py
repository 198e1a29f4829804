"""Enforces retention: closes silent conversations, deletes texts past their retention, and rows of erased people.

Runs in its own thread, in small transactions, so that no message waits. Any number of processes may run it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.core import chat_moves, unparsed
from dialogue.rights import erasure
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.telemetry.instruments import UNMEASURED, Instruments, Reading
from dialogue.telemetry.periodic import Periodic
from dialogue.upkeep import retention, strangers
from dialogue.upkeep.retention import Overdue

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PURGED = "purged"
"""The `action` of an audit entry: how many texts were deleted because their retention ended."""

_BATCH = 200
_SILENT_BATCH = 50  # each conversation takes several statements
_STRANGERS_A_ROUND = 200  # each scans all messages: an index for this alone is not worth it
_REST_SECONDS = 0.05


class Housekeeper:
    """Runs every `period_seconds`; `keep` does one round at once. `chores` are other components' jobs, run as often."""

    def __init__(
        self,
        *,
        database: Database,
        retention_days: int,
        instruments: Instruments = UNMEASURED,
        chores: Sequence[Callable[[], object]] = (),
        period_seconds: float = 600.0,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._kept = timedelta(days=retention_days)
        self._clock = clock
        self._readings: list[Reading] = []
        self._is_measured = instruments is not UNMEASURED
        instruments.gauge(
            "mindglm_retention_overdue", "Conversations whose texts are overdue for deletion.", lambda: self._readings
        )
        self._loop = Periodic(
            "housekeeping",
            self.keep,
            *chores,
            self.count_overdue,  # also when `keep` failed
            period_seconds=period_seconds,
            instruments=instruments,
        )

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Returns after the batch in progress."""
        self._loop.stop()

    def keep(self) -> retention.Purged:
        """Batch after batch until nothing is due; raises `DatabaseUnavailable`."""
        closed_count = self._all_batches(self._close_silent)
        purged = self._purge()
        self._purge_unparsed()
        scrubbed_count = self._all_batches(self._scrub)
        forgotten_count = self._forget_strangers()
        self._forget_moves()
        if closed_count or purged.texts or purged.conversations or scrubbed_count or forgotten_count:
            log.info(
                "housekeeping_done",
                closed_count=closed_count,
                purged_texts=purged.texts,
                purged_conversations=purged.conversations,
                scrubbed_rows=scrubbed_count,
                forgotten_people=forgotten_count,
            )
        return purged

    def overdue(self) -> Overdue:
        """What is overdue for deletion."""
        with self._database.read() as session:
            return retention.overdue(session, closed_until=self._clock() - self._kept)

    def count_overdue(self) -> None:
        """For the metrics: after a round nothing is overdue unless the round failed."""
        if self._is_measured:
            self._readings = [Reading(self.overdue().conversations)]

    def _purge(self) -> retention.Purged:
        texts = conversations = 0
        while True:
            with self._database.begin() as session:
                now = self._clock()
                batch = retention.purge(session, closed_until=now - self._kept, limit=_BATCH, now=now)
                if batch.texts or batch.conversations:
                    _note(session, batch, now=now)
            texts, conversations = texts + batch.texts, conversations + batch.conversations
            if batch.texts + batch.conversations < _BATCH or self._loop.pause(_REST_SECONDS):
                return retention.Purged(texts=texts, conversations=conversations)

    def _purge_unparsed(self) -> None:
        with self._database.begin() as session:
            now = self._clock()
            if count := unparsed.purge(session, until=now - self._kept):
                _note(session, retention.Purged(texts=count, conversations=0), now=now)

    def _close_silent(self, session: Session) -> int:
        now = self._clock()
        return retention.close_silent(session, silent_since=now - self._kept, limit=_SILENT_BATCH, now=now)

    def _scrub(self, session: Session) -> int:
        return erasure.scrub(session, limit=_BATCH, now=self._clock())

    def _forget_strangers(self) -> int:
        """Only after the platform has stopped repeating their messages."""
        until = self._clock() - max(self._kept, erasure.REPLAY)
        with self._database.read() as session:
            found = strangers.find(session, until=until, limit=_STRANGERS_A_ROUND)
        count = 0
        for person_id in found:
            with self._database.begin() as session:
                count += strangers.forget(session, person_id, until=until)
            if self._loop.pause(_REST_SECONDS):
                break
        if count:
            with self._database.begin() as session:
                strangers.note(session, count, now=self._clock())
        return count

    def _forget_moves(self) -> None:
        """Of groups without anybody; only after the platform has stopped repeating what was said before they moved."""
        with self._database.read() as session:
            found = chat_moves.deserted(session, until=self._clock() - erasure.REPLAY)
        if found:
            with self._database.begin() as session:
                chat_moves.forget(session, found)

    def _all_batches(self, work: Callable[[Session], int]) -> int:
        total = 0
        while True:
            with self._database.begin() as session:
                count = work(session)
            total += count
            if count == 0 or self._loop.pause(_REST_SECONDS):
                return total


def _note(session: Session, batch: retention.Purged, *, now: datetime) -> None:
    """In the same transaction, so that every deletion is on record."""
    reason = f"texts={batch.texts} conversations={batch.conversations}"
    audit.note(session, actor="housekeeper", action=PURGED, whom=Whom(), reason=reason, now=now)
