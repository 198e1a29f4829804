"""Hourly statistics of the last week, kept in memory by a background thread, so that no page waits for them.

Ids contain their time, so an hour is a range of the primary key. An hour whose turns are all final never changes and
is counted once; the others are recounted every half minute.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from console.histograms import bucket
from dialogue.core.danger_course import ALARM
from dialogue.states import OPEN_TURN_STATES, TurnState
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.ids import first_id_at
from dialogue.tables import AUDIT, TURNS
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic

HOUR = timedelta(hours=1)
KEPT_HOURS = 8 * 24
_SETTLES_AFTER = timedelta(minutes=2)  # ids are made before the commit; clocks differ by seconds
_PERIOD_SECONDS = 30.0

_FIRST_TOKEN = bucket(TURNS.c.first_token_at, TURNS.c.created_at).label("first_token")
_WHOLE = bucket(TURNS.c.finished_at, TURNS.c.created_at).label("whole")
_TURNS = (
    select(
        TURNS.c.state,
        _FIRST_TOKEN,
        _WHOLE,
        func.count().label("number"),
        func.sum(TURNS.c.reply_tokens).label("tokens"),
    )
    .where(TURNS.c.id >= bindparam("first"), TURNS.c.id < bindparam("end"))
    .group_by(TURNS.c.state, _FIRST_TOKEN, _WHOLE)
)
_ALARMS = (
    select(AUDIT.c.reason, func.count())
    .where(AUDIT.c.at >= bindparam("since"), AUDIT.c.at < bindparam("until"), AUDIT.c.action == ALARM)
    .group_by(AUDIT.c.reason)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What came in during one hour, and what became of it."""

    starts_at: datetime
    turns: Mapping[TurnState, int] = field(default_factory=Counter)
    first_token: Mapping[int, int] = field(default_factory=Counter)
    whole: Mapping[int, int] = field(default_factory=Counter)
    reply_tokens: int = 0
    alarms: Mapping[str, int] = field(default_factory=Counter)
    is_settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """All hours counted so far; `as_of` is None before the first."""

    hours: Mapping[datetime, Hour]
    as_of: datetime | None
    is_complete: bool


def count(session: Session, starts_at: datetime, *, now: datetime) -> Hour:
    """Count one hour."""
    ends_at = starts_at + HOUR
    turns: Counter[TurnState] = Counter()
    first_token: Counter[int] = Counter()
    whole: Counter[int] = Counter()
    tokens = 0
    for row in session.execute(_TURNS, {"first": first_id_at(starts_at), "end": first_id_at(ends_at)}):
        turns[row.state] += row.number
        tokens += row.tokens or 0
        if row.state is TurnState.ANSWERED:
            if row.first_token is not None:
                first_token[row.first_token] += row.number
            if row.whole is not None:
                whole[row.whole] += row.number
    alarms = session.execute(_ALARMS, {"since": starts_at, "until": ends_at}).all()
    return Hour(
        starts_at=starts_at,
        turns=turns,
        first_token=first_token,
        whole=whole,
        reply_tokens=tokens,
        alarms=Counter({reason or "": number for reason, number in alarms}),
        is_settled=now >= ends_at + _SETTLES_AFTER and not any(turns[state] for state in OPEN_TURN_STATES),
    )


class Gatherer:
    """Keeps the week's statistics up to date in a background thread."""

    def __init__(
        self,
        database: Database,
        *,
        period_seconds: float = _PERIOD_SECONDS,
        instruments: Instruments = UNMEASURED,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._hours: dict[datetime, Hour] = {}
        self._as_of: datetime | None = None
        self._loop = Periodic("figures", self.gather, period_seconds=period_seconds, instruments=instruments)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def week(self) -> Week:
        """The statistics in memory; no query."""
        hours = dict(self._hours)
        return Week(hours=hours, as_of=self._as_of, is_complete=len(hours) >= KEPT_HOURS)

    def gather(self) -> None:
        """Recount what may have changed, newest hour first; raises `DatabaseUnavailable`."""
        now = self._clock()
        newest = now.replace(minute=0, second=0, microsecond=0)
        wanted = [newest - HOUR * age for age in range(KEPT_HOURS)]
        for starts_at in wanted:
            known = self._hours.get(starts_at)
            if self._loop.is_stopping:
                return
            if known is None or not known.is_settled:
                with self._database.read() as session:
                    self._hours[starts_at] = count(session, starts_at, now=now)
        self._hours = {starts_at: self._hours[starts_at] for starts_at in wanted}
        self._as_of = now
