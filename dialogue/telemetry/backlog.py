"""The current backlog: unanswered turns and undelivered texts, and the age of the oldest."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dialogue.states import OPEN_DELIVERY_STATES, OPEN_TURN_STATES, DeliveryState, TurnState
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.tables import DELIVERIES, TURNS
from dialogue.telemetry.instruments import Instruments, Reading

# both use the partial indexes on open rows, however many rows are stored
_OPEN_TURNS = (
    select(TURNS.c.state, func.count(), func.min(TURNS.c.created_at))
    .where(TURNS.c.state.in_(OPEN_TURN_STATES))
    .group_by(TURNS.c.state)
)
_OWED = (
    select(DELIVERIES.c.channel, func.count(), func.min(DELIVERIES.c.created_at))
    .where(DELIVERIES.c.state.in_(OPEN_DELIVERY_STATES))
    .group_by(DELIVERIES.c.channel)
)

_HELD = (
    select(DELIVERIES.c.channel, func.count(), func.min(DELIVERIES.c.created_at))
    .where(DELIVERIES.c.state == DeliveryState.HELD)
    .group_by(DELIVERIES.c.channel)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A count, and when the oldest began."""

    count: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Open turns by state, undelivered texts by channel; `held` ones wait until the person writes again."""

    turns: dict[TurnState, Waiting] = field(default_factory=dict)
    owed: dict[str, Waiting] = field(default_factory=dict)
    held: dict[str, Waiting] = field(default_factory=dict)


def backlog(session: Session) -> Backlog:
    """As of now."""
    turns = {state: Waiting() for state in OPEN_TURN_STATES}
    turns |= {state: Waiting(count=count, since=since) for state, count, since in session.execute(_OPEN_TURNS)}
    owed = {channel: Waiting(count=count, since=since) for channel, count, since in session.execute(_OWED)}
    held = {channel: Waiting(count=count, since=since) for channel, count, since in session.execute(_HELD)}
    return Backlog(turns=turns, owed=owed, held=held)


class BacklogGauge:
    """Exposes the last known backlog as gauges, so that a scrape never waits for the database."""

    def __init__(self, database: Database, instruments: Instruments, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._seen = Backlog()
        self._channels: set[str] = set()
        instruments.gauge("mindglm_turns_open", "Turns without an answer.", self._turn_counts, ["state"])
        instruments.gauge("mindglm_turns_oldest_seconds", "Age of the oldest open turn.", self._turn_ages, ["state"])
        instruments.gauge("mindglm_deliveries_owed", "Texts not yet delivered.", self._owed_counts, ["channel"])
        instruments.gauge(
            "mindglm_deliveries_oldest_seconds", "Age of the oldest undelivered text.", self._owed_ages, ["channel"]
        )
        instruments.gauge(
            "mindglm_deliveries_held",
            "Texts held until their person writes again, because the platform accepts no more.",
            self._held_counts,
            ["channel"],
        )

    def look(self) -> None:
        """Raises `DatabaseUnavailable`."""
        with self._database.read() as session:
            self._seen = backlog(session)
        self._channels |= self._seen.owed.keys() | self._seen.held.keys()

    def _turn_counts(self) -> Iterator[Reading]:
        for state, waiting in self._seen.turns.items():
            yield Reading(waiting.count, (state,))

    def _turn_ages(self) -> Iterator[Reading]:
        for state, waiting in self._seen.turns.items():
            yield Reading(self._age(waiting), (state,))

    def _owed_counts(self) -> Iterator[Reading]:
        for channel in sorted(self._channels):
            yield Reading(self._owed(channel).count, (channel,))

    def _owed_ages(self) -> Iterator[Reading]:
        for channel in sorted(self._channels):
            yield Reading(self._age(self._owed(channel)), (channel,))

    def _held_counts(self) -> Iterator[Reading]:
        for channel in sorted(self._channels):
            yield Reading(self._seen.held.get(channel, Waiting()).count, (channel,))

    def _owed(self, channel: str) -> Waiting:
        return self._seen.owed.get(channel, Waiting())

    def _age(self, waiting: Waiting) -> float:
        return max(0.0, (self._clock() - waiting.since).total_seconds()) if waiting.since else 0.0
