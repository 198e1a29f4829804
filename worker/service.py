"""Everything a worker process runs: built once, started and stopped in order."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID, uuid4

import structlog

from care import texts
from care.guard import guard
from dialogue.broker.announcer import Announcer
from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import Signals
from dialogue.process import home, opening
from dialogue.process.ports import WORKER_OFFSET
from dialogue.process.region import directory_of
from dialogue.tables import Figure
from dialogue.telemetry.heartbeat import Identity
from dialogue.telemetry.traces import traces_for
from dialogue.telemetry.watch import Watch, instruments_for
from dialogue.upkeep.sweeper import Sweeper
from worker.cancellation import Cancellations
from worker.engine.port import Engine
from worker.fallback_poll import FallbackPoller
from worker.generation import Generation, ReplyPolicy
from worker.instructions import Instructions
from worker.leases import Leases
from worker.meters import WorkerMeters
from worker.replies import Replies
from worker.settings import WorkerSettings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_IDLE_CHECK_SECONDS = 0.05
_TURNS_PER_SLOT = 1.25
"""Claimed beyond the engine's capacity: while some are being stored, its batch stays full."""
_ANY_CONVERSATION = UUID(int=0)
"""Of a ring that is passed on to other workers; only workers of earlier versions read which one it is."""


class WorkerService:
    """Owns the model and the threads around it. `end` is called when only a new process can help."""

    def __init__(
        self, settings: WorkerSettings, engine: Engine, doorbell: Doorbell, *, name: str, end: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._end = end
        self._is_ending = False
        opening.upgrade_own(settings)
        broker_url = home.broker_url(settings)
        self._signals = Signals.connect(broker_url)
        self._database, keys = opening.open_database(settings, announce=Announcer(self._signals, doorbell))
        words = texts.load(settings.locale)
        instruments = instruments_for(settings)
        self._meters = WorkerMeters(instruments, traces_for(settings, "mindglm-worker"))
        self._leases = Leases(
            database=self._database,
            owner=uuid4(),
            lease_seconds=settings.lease_seconds,
            cancel=engine.cancel,
            instruments=instruments,
        )
        policy = _policy(settings)
        self._generation = Generation(
            engine=engine,
            signals=self._signals,
            texts=words,
            guard=guard(directory_of(settings.region)),
            policy=policy,
            meters=self._meters,
        )
        room = math.ceil(_TURNS_PER_SLOT * engine.capacity)
        self._executor = ThreadPoolExecutor(room, thread_name_prefix="reply")
        self._replies = Replies(
            database=self._database,
            keys=keys,
            engine=engine,
            generation=self._generation,
            leases=self._leases,
            executor=self._executor,
            room=room,
            texts=words,
            policy=policy,
            ring_on=partial(doorbell.ring, [_ANY_CONVERSATION]),
            meters=self._meters,
        )
        self._fallback_poll = FallbackPoller(self._replies.look, instruments=instruments)
        self._sweeper = Sweeper(
            database=self._database,
            keys=keys,
            apology=words.say("error_failed"),
            max_attempts=settings.max_attempts,
            instruments=instruments,
        )
        self._cancellations = Cancellations(broker_url, cancel=engine.cancel, instruments=instruments)
        self._watch = Watch(
            database=self._database,
            me=Identity(kind="worker", name=name),
            figures=self._figures,
            checks={"broker": self._signals.check, "model": self._model_error},
            instruments=instruments,
            settings=settings,
            metrics_offset=WORKER_OFFSET,
            keys=keys,
        )

    def start(self) -> None:
        """Load the model, then start the threads; raises `ModelUnusable`."""
        self._engine.start()
        self._leases.start()
        self._sweeper.start()
        self._fallback_poll.start()
        self._cancellations.start()
        self._meters.watch(self._engine)
        self._watch.start()
        log.info("worker_ready", model=self._engine.model_version, capacity=self._engine.capacity)

    def rung(self) -> None:
        """A ring was taken: look for open turns. Raises `DatabaseUnavailable`."""
        self._replies.rung()

    def claim_no_more(self) -> None:
        """After SIGTERM: claim no new turns."""
        self._replies.claim_no_more()

    def stop(self) -> None:
        """Let replies finish for `shutdown_seconds`, give the rest back, release the model.

        The order: first everything that brings new turns, then the replies, and only then what replies need while
        they finish. Leases come near the end, or another worker would claim a turn that is still being written;
        the watch too, or this worker would count as dead during a long shutdown. Cancellations last while a reply
        may still be reset. The signals, traces and database close after every thread that uses them.
        """
        self._replies.claim_no_more()
        self._sweeper.stop()
        self._fallback_poll.stop()
        self._wait_until_idle(self._settings.shutdown_seconds)
        self._replies.give_all_back()
        self._engine.stop()
        self._wait_until_idle(self._settings.lease_seconds)
        self._cancellations.stop()
        self._watch.stop()
        self._leases.stop()
        self._signals.close()
        self._meters.traces.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._database.close()
        log.info("worker_stopped")

    def _model_error(self) -> str | None:
        """Checked every few seconds: an unrecoverable engine ends the process; the supervisor starts a new one."""
        error = self._engine.fatal_error()
        if error is not None and not self._is_ending:
            self._is_ending = True
            log.error("engine_unrecoverable", error=error)
            self._replies.give_all_back()
            self._end()
        return error

    def _figures(self) -> dict[str, Figure]:
        return {
            "model": self._engine.model_version,
            "capacity": self._engine.capacity,
            "answering": len(self._leases.held()),
            "batch": self._engine.load.running,
            "waiting": self._engine.load.waiting,
            "tokens_per_second": self._generation.pace.tokens_per_second(),
        }

    def _wait_until_idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._leases.held() and time.monotonic() < deadline:
            time.sleep(_IDLE_CHECK_SECONDS)


def _policy(settings: WorkerSettings) -> ReplyPolicy:
    return ReplyPolicy(
        instruction=settings.instruction,
        instructions=Instructions(written=settings.instruction if "instruction" in settings.model_fields_set else None),
        window_max_length=settings.window_max_length,
        window_max_turns=settings.window_max_turns,
        max_tokens=settings.max_reply_tokens,
        turn_seconds=settings.turn_seconds,
        max_attempts=settings.max_attempts,
        is_demonstration=settings.is_bundled_model,
    )
