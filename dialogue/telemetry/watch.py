"""A process's health: its heartbeat row, and the HTTP health endpoints if a port is configured.

A background thread runs all checks every few seconds; the endpoints report its latest results.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import psutil
import structlog

from dialogue.core import people
from dialogue.errors import DialogueError
from dialogue.process.ports import port_of
from dialogue.process.settings import DialogueSettings
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys
from dialogue.tables import Figure
from dialogue.telemetry import heartbeat as presence
from dialogue.telemetry.backlog import BacklogGauge
from dialogue.telemetry.heartbeat import BEAT_SECONDS, Identity
from dialogue.telemetry.instruments import UNMEASURED, Instruments, Reading
from dialogue.telemetry.periodic import Periodic

if TYPE_CHECKING:
    from dialogue.telemetry.health_endpoints import Probes

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Check = Callable[[], str | None]
"""A check: None if all is well, else what is wrong in a few words; must return within seconds."""

DATABASE: Final = "database"
KEY: Final = "key"

_UNSEEN: Final = "has not been checked yet"
_STALE_BEATS: Final = 4
_STOP_SECONDS: Final = 2.0


def instruments_for(settings: DialogueSettings) -> Instruments:
    """Where the components of this process declare their metrics; without a port nothing is stored."""
    if settings.metrics_port is None:
        return UNMEASURED
    from dialogue.telemetry.prometheus import Prometheus  # imported only if needed: it costs memory

    return Prometheus()


class Watch:
    """Watches one process from `start` to `stop`."""

    def __init__(
        self,
        *,
        database: Database,
        me: Identity,
        figures: Callable[[], Mapping[str, Figure]],
        checks: Mapping[str, Check],
        instruments: Instruments,
        settings: DialogueSettings,
        metrics_offset: int,
        keys: MasterKeys | None = None,
        beat_seconds: float = BEAT_SECONDS,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._me = me if keys is None else replace(me, key_ids=keys.ids)
        self._figures = figures
        self._checks: Mapping[str, Check] = checks
        if keys is not None:
            self._checks = {**checks, KEY: partial(self._check_key, keys)}
        self._settings = settings
        self._metrics_offset = metrics_offset
        self._instruments = instruments
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._process = psutil.Process()
        self._troubles: dict[str, str | None] = dict.fromkeys((DATABASE, *self._checks), _UNSEEN)
        self._looked_at = time.monotonic()
        self._is_measured = instruments is not UNMEASURED
        self._backlog = BacklogGauge(database, instruments, clock=clock)
        instruments.gauge("mindglm_check_ok", "1 if the check passed, by check.", self._readings, ["check"])
        self._probes: Probes | None = None
        self._loop = Periodic(
            "watch",
            self.look,
            period_seconds=beat_seconds,
            instruments=instruments,
            at_end=self._leave,
            stop_seconds=_STOP_SECONDS,
        )

    def start(self) -> None:
        self._probes = self._listen()
        self._loop.start()

    def stop(self) -> None:
        """Delete this process's row; gives up after a moment if the database does not answer."""
        if self._probes is not None:
            self._probes.stop()
        self._loop.stop()

    def look(self) -> None:
        """Run every check and publish the results."""
        for name, check in self._checks.items():
            self._note(name, check)
        self._note(DATABASE, self._beat)
        self._looked_at = time.monotonic()

    def readiness(self) -> dict[str, str | None]:
        """By name of the check: None, or what is wrong."""
        silent_seconds = time.monotonic() - self._looked_at
        if silent_seconds > _STALE_BEATS * self._beat_seconds:
            return self._troubles | {DATABASE: f"has not answered for {silent_seconds:.0f} s"}
        return dict(self._troubles)

    def _beat(self) -> str | None:
        figures = {**self._figures(), "memory_mb": round(self._process.memory_info().rss / 1e6)}
        with self._database.begin() as session:
            presence.beat(session, self._me, figures, now=self._clock())
        if self._is_measured:
            self._backlog.look()
        return None

    def _check_key(self, keys: MasterKeys) -> None:
        """Somebody may have rotated to a master key that this process was not given. Raises `DialogueError`."""
        with self._database.read() as session:
            people.check_master_key(session, keys)

    def _note(self, name: str, check: Check) -> None:
        try:
            trouble = check()
        except DialogueError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - a thread's outermost loop: the next look may succeed
            trouble = type(error).__name__
        before, self._troubles[name] = self._troubles[name], trouble
        if trouble and before in {None, _UNSEEN}:
            log.warning("check_failed", check=name, trouble=trouble)
        elif before and not trouble and before != _UNSEEN:
            log.info("check_passed", check=name)

    def _readings(self) -> list[Reading]:
        return [Reading(trouble is None, (name,)) for name, trouble in self.readiness().items()]

    def _listen(self) -> "Probes | None":
        """If the port is in use, the process runs without metrics: serving people comes first."""
        port = port_of(self._metrics_offset, self._settings)
        if port is None:
            return None
        from dialogue.telemetry.health_endpoints import Probes
        from dialogue.telemetry.prometheus import Prometheus

        if not isinstance(self._instruments, Prometheus):
            return None
        try:
            probes = Probes(
                self._settings.metrics_host,
                port,
                readiness=self.readiness,
                exposition=self._instruments.exposition,
            )
        except (OSError, OverflowError) as error:
            log.error("health_endpoints_cannot_listen", port=port, error=str(error))  # noqa: TRY400 - the message says it all
            return None
        probes.start()
        return probes

    def _leave(self) -> None:
        try:
            with self._database.begin() as session:
                presence.leave(session, self._me)
        except DialogueError as error:
            log.warning("process_row_not_deleted", error=str(error))
