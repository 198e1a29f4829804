"""An adapter's health in a small file: is it still receiving, is it still delivering?

Written every few seconds; an old file means that its process is stuck or gone.
"""

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog

from bot.executors import Executors, PriorityExecutor
from dialogue.admin import reachability
from dialogue.admin.office import Office
from dialogue.core import outbox
from dialogue.errors import DatabaseUnavailable
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.tables import Figure
from dialogue.telemetry.instruments import UNMEASURED, Instruments, Reading

log: structlog.stdlib.BoundLogger = structlog.get_logger()

DEAF_SECONDS = 90.0
STUCK_SECONDS = 30.0
OVERDUE_SECONDS = 300.0
_WRITE_SECONDS = 5.0
_LAST_RESORT_SECONDS = 30.0
_ASK_PERIOD = timedelta(seconds=60)


class Listening(StrEnum):
    """How an adapter receives updates, which decides what silence means."""

    POLLS = "polls"  # it polls and is answered within a minute: silence is a fault
    PUSHED = "pushed"  # it is called: silence is deafness only where the platform was asked and said nothing good


class Deaf(Exception):
    """The adapter receives nothing any more and cannot recover; a new process may."""


def hangs_for_good(reason: str) -> Deaf:
    """Something waits in a thread that nothing ends: the process is ended in order, or else by force."""
    last_resort = threading.Timer(_LAST_RESORT_SECONDS, os._exit, (1,))
    last_resort.daemon = True
    last_resort.start()
    return Deaf(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the file says; ages in seconds at `written_at`, None where there is nothing to be told.

    `deafness` says why nobody is heard, `faults` what the platform refuses and how to mend it. A file of an earlier
    version has none, and is of an adapter that polls.
    """

    channel: str
    written_at: str
    process_id: int
    last_heard_seconds: float | None
    pending_updates: int | None
    oldest_owed_seconds: float | None
    deafness: str | None = None
    faults: list[str] = field(default_factory=list)
    unreached_admins: tuple[str, ...] = ()

    def troubles(self, *, now: datetime) -> list[str]:
        """All problems in words; empty when all is well."""
        silent_seconds = (now - datetime.fromisoformat(self.written_at)).total_seconds()
        found = []
        if silent_seconds > STUCK_SECONDS:
            found.append(f"the {self.channel} adapter has not reported for {silent_seconds:.0f} s")
        if self.deafness is not None:
            found.append(self.deafness)
        found += self.faults
        if self.oldest_owed_seconds is not None and self.oldest_owed_seconds > OVERDUE_SECONDS:
            found.append(f"a text has been waiting to be sent for {self.oldest_owed_seconds:.0f} s")
        found.extend(f"alarms do not reach the admin {one}" for one in self.unreached_admins)
        return found


class Health:
    """Keeps the file of one adapter. `ask_pending` asks the platform how many updates it still holds for us."""

    def __init__(
        self,
        *,
        home: Path,
        channel: str,
        database: Database,
        ask_pending: Callable[[], Awaitable[int | None]],
        instruments: Instruments = UNMEASURED,
        executor: PriorityExecutor | None = None,
        office: Office | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._path = path(home, channel)
        self._channel = channel
        self._database = database
        self._ask_pending = ask_pending
        self._office = office
        self._executor = executor or Executors().display
        self._clock = clock
        self._was_answered = False
        self._faults: dict[str, str] = {}
        self.is_connected = True  # while it is not, the platform is not asked
        self.listening = Listening.POLLS
        self._heard_at: datetime | None = None
        self._pending: int | None = None
        self._next_ask_at = clock()
        self._warnings: dict[str, str] = {}
        instruments.gauge(
            "mindglm_last_heard_seconds", "Since the platform was last heard.", self._silence, ["channel"]
        )
        instruments.gauge(
            "mindglm_channel_faults", "What the operator must mend at the platform.", self._fault_count, ["channel"]
        )
        instruments.gauge("mindglm_pending_updates", "What the platform still holds for us.", self._held, ["channel"])

    def figures(self) -> dict[str, Figure]:
        """The same, as the process tells it of itself; asks nobody."""
        now = self._clock()
        return {
            "last_heard_seconds": _age(self._heard_at, now),
            "pending_updates": self._pending,
            "is_deaf": self.deafness() is not None,
        }

    def deafness(self) -> str | None:
        """Why it must be said that nobody is heard any more, or not everybody; None while all are."""
        for warning in self._warnings.values():
            return warning
        if self.listening is Listening.PUSHED and not self._was_answered:
            return None
        silent_seconds = _age(self._heard_at, self._clock())
        if silent_seconds is None:
            return f"{self._channel} has not been heard yet"
        return (
            f"{self._channel} has not been heard for {silent_seconds:.0f} s" if silent_seconds > DEAF_SECONDS else None
        )

    def _silence(self) -> list[Reading]:
        silent_seconds = _age(self._heard_at, self._clock())
        return [] if silent_seconds is None else [Reading(silent_seconds, (self._channel,))]

    def _fault_count(self) -> list[Reading]:
        return [Reading(len(self._faults), (self._channel,))]

    def _held(self) -> list[Reading]:
        return [] if self._pending is None else [Reading(self._pending, (self._channel,))]

    def fault(self, name: str, sentence: str) -> None:
        """Something does not work until the operator mends it; `sentence` says what and how. Logged when it is new."""
        if self._faults.get(name) != sentence:
            log.error("channel_fault", channel=self._channel, fault=name, hint=sentence)
        self._faults[name] = sentence

    @property
    def faults(self) -> list[str]:
        return list(self._faults.values())

    def mended(self, name: str) -> None:
        """It works again."""
        if self._faults.pop(name, None) is not None:
            log.info("channel_fault_mended", channel=self._channel, fault=name)

    def heard(self) -> None:
        """The platform spoke to us, or told us that it had nothing to say."""
        self._heard_at = self._clock()

    def holds_back(self, update: str, reason: str) -> None:
        """That update cannot be stored, and it is not the update's fault: it waits, and others may wait as well."""
        self.warns(update, f"what people say on {self._channel} waits to be stored: {reason}")

    def lets_go(self, update: str) -> None:
        """It is stored, or it waits at the platform for the next process."""
        self._warnings.pop(update, None)

    def warns(self, key: str, warning: str) -> None:
        """Say it in every report, and be unready, until `settles` is told the same key."""
        self._warnings[key] = warning

    def settles(self, key: str) -> None:
        """What was warned of is mended."""
        self._warnings.pop(key, None)

    def has_heard_before(self) -> bool:
        """Whether a process of this home has been heard by the platform, this one or an earlier one."""
        report = last_report(self._path.parent.parent, self._channel)
        return self._heard_at is not None or (report is not None and report.last_heard_seconds is not None)

    async def run(self) -> None:
        """Write until cancelled; what breaks, such as a full disk, loses the report but does not stop the adapter."""
        while True:
            try:
                await self.write()
            except OSError as error:
                log.warning("health_not_written", error=str(error))
            except Exception as error:  # noqa: BLE001 - the outermost loop: people are answered without a report
                log.error("health_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold words
            await asyncio.sleep(_WRITE_SECONDS)

    async def write(self) -> None:
        """Bring the file up to date."""
        if self.is_connected and self._clock() >= self._next_ask_at:
            self._pending = await self._ask_pending()
            if self._pending is not None:
                self._was_answered = True
            if self._pending == 0 and self.listening is Listening.PUSHED:
                self.heard()  # the platform says that there is nothing to be heard
            self._next_ask_at = self._clock() + _ASK_PERIOD
        await self._executor.run(lambda: self._write(self.report()))

    def report(self) -> Report:
        now = self._clock()
        owed_since = self._owed_since()
        return Report(
            channel=self._channel,
            written_at=now.isoformat(),
            process_id=os.getpid(),
            last_heard_seconds=_age(self._heard_at, now),
            pending_updates=self._pending,
            oldest_owed_seconds=_age(owed_since, now),
            deafness=self.deafness(),
            faults=self.faults,
            unreached_admins=self._unreached_admins(),
        )

    def _owed_since(self) -> datetime | None:
        try:
            with self._database.read() as session:
                return outbox.oldest_owed(session, self._channel)
        except DatabaseUnavailable:
            return None

    def _unreached_admins(self) -> tuple[str, ...]:
        """Of every channel, since whoever reads one report may read no other."""
        if self._office is None or not self._office.admins:
            return ()
        try:
            with self._database.read() as session:
                lost = reachability.lost(session, self._office)
        except DatabaseUnavailable:
            return ()
        return tuple(f"{one.admin.channel}:{one.admin.chat_id} ({one.error})" for one in lost)

    def _write(self, report: Report) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(asdict(report)) + "\n", "utf-8")
        draft.replace(self._path)


def path(home: Path, channel: str) -> Path:
    """Where the file of that channel lies."""
    return home / "health" / f"{channel}.json"


def last_report(home: Path, channel: str) -> Report | None:
    """What the adapter wrote last, whether it still runs or not."""
    try:
        fields: dict[str, Any] = json.loads(path(home, channel).read_text("utf-8"))
        return Report(**fields | {"unreached_admins": tuple(fields.get("unreached_admins", ()))})
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else round((now - since).total_seconds(), 1)
