"""Everything a worker process runs, put together once and taken apart in order."""

import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import structlog
from redis import Redis
from redis.exceptions import RedisError

from care import texts
from care.guard import guard
from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import CANCEL, Signals, redis_url
from dialogue.process import home, opening
from dialogue.process.region import directory_of
from dialogue.tables import Figure
from dialogue.telemetry.heartbeat import Identity
from dialogue.telemetry.traces import traces_for
from dialogue.telemetry.watch import Watch, instruments_for
from dialogue.upkeep.sweeper import Sweeper
from worker.engine.port import Engine
from worker.fallback_poll import FallbackPoller
from worker.leases import Leases
from worker.meters import WorkerMeters
from worker.replies import Replies, ReplyPolicy
from worker.settings import WorkerSettings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LISTEN_AGAIN_SECONDS = 0.5
_LOOK_SECONDS = 0.05


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
        self._database, keys = opening.open_database(settings)
        words = texts.load(settings.locale)
        broker_url = home.broker_url(settings)
        instruments = instruments_for(settings)
        self._meters = WorkerMeters(instruments, traces_for(settings, "mindglm-worker"))
        self._signals = Signals.connect(broker_url)
        self._leases = Leases(
            database=self._database,
            owner=uuid4(),
            lease_seconds=settings.lease_seconds,
            cancel=engine.cancel,
        )
        self._replies = Replies(
            database=self._database,
            keys=keys,
            engine=engine,
            leases=self._leases,
            signals=self._signals,
            texts=words,
            guard=guard(directory_of(settings.region)),
            policy=_policy(settings),
            meters=self._meters,
        )
        self._ears = FallbackPoller(
            database=self._database,
            answer=self.answer,
            free_places=self._free_places,
            max_threads=engine.capacity,
            max_attempts=settings.max_attempts,
        )
        self._sweeper = Sweeper(
            database=self._database,
            keys=keys,
            doorbell=doorbell,
            signals=self._signals,
            apology=words.say("error_failed"),
            max_attempts=settings.max_attempts,
            instruments=instruments,
        )
        self._cancellations = _Cancellations(broker_url, engine)
        self._watch = Watch(
            database=self._database,
            me=Identity(kind="worker", name=name),
            figures=self._figures,
            checks={"broker": self._signals.check, "model": self._model_trouble},
            instruments=instruments,
            settings=settings,
        )

    def start(self) -> None:
        """Load the model, then watch; raises `ModelUnusable`."""
        self._engine.start()
        self._leases.start()
        self._sweeper.start()
        self._ears.start()
        self._cancellations.start()
        self._meters.watch(self._engine)
        self._watch.start()
        log.info("worker_ready", model=self._engine.model_version, capacity=self._engine.capacity)

    def answer(self, conversation_id: UUID) -> None:
        self._replies.answer(conversation_id)

    def _free_places(self) -> int:
        return self._engine.capacity - len(self._leases.held())

    def claim_no_more(self) -> None:
        """SIGTERM has come: take nothing new from now on."""
        self._replies.claim_no_more()

    def stop(self) -> None:
        """Let replies finish for `shutdown_seconds`, give the rest back, release the model."""
        self._replies.claim_no_more()
        self._sweeper.stop()
        self._ears.stop()
        self._wait_until_idle(self._settings.shutdown_seconds)
        self._replies.give_everything_back()
        self._engine.stop()
        self._wait_until_idle(self._settings.lease_seconds)
        self._cancellations.stop()
        self._watch.stop()
        self._leases.stop()
        self._signals.close()
        self._meters.traces.close()
        self._database.close()
        log.info("worker_stopped")

    def _model_trouble(self) -> str | None:
        """Looked at every few seconds: an engine that is beyond help ends the process, so that a new one starts."""
        trouble = self._engine.trouble()
        if trouble is not None and not self._is_ending:
            self._is_ending = True
            log.error("engine_beyond_help", trouble=trouble)
            self._replies.give_everything_back()
            self._end()
        return trouble

    def _figures(self) -> dict[str, Figure]:
        return {
            "model": self._engine.model_version,
            "capacity": self._engine.capacity,
            "answering": len(self._leases.held()),
            "batch": self._engine.load.running,
            "waiting": self._engine.load.waiting,
            "tokens_per_second": self._replies.pace.tokens_per_second(),
        }

    def _wait_until_idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._leases.held() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


class _Cancellations:
    """Hears of resets at once; without Redis the lease keeper notices them within a second."""

    def __init__(self, broker_url: str, engine: Engine) -> None:
        self._url = redis_url(broker_url)
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cancellations", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with Redis.from_url(self._url) as redis, redis.pubsub(ignore_subscribe_messages=True) as topics:
                    topics.subscribe(CANCEL)
                    while not self._stopping.is_set():
                        event = topics.get_message(timeout=_LISTEN_AGAIN_SECONDS)
                        if event is not None:
                            self._engine.cancel(str(UUID(bytes=event["data"])))
            except (RedisError, OSError, ValueError) as error:
                log.debug("cancellations_reconnect", error=type(error).__name__)
                self._stopping.wait(_LISTEN_AGAIN_SECONDS)


def _policy(settings: WorkerSettings) -> ReplyPolicy:
    return ReplyPolicy(
        instruction=settings.instruction,
        window_max_length=settings.window_max_length,
        window_max_turns=settings.window_max_turns,
        max_tokens=settings.max_reply_tokens,
        turn_seconds=settings.turn_seconds,
        max_attempts=settings.max_attempts,
    )
