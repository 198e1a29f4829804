"""The composition root of the GPU worker: ``celery -A worker worker`` starts here.

A bootstep loads the model before the worker consumes and releases it after the last reply. The plain command has
the right pool, concurrency and acknowledgement.
"""

import os
import sys
import threading
from typing import Any, NoReturn

from celery import Celery, bootsteps, signals
from celery.worker import state

from dialogue.broker.doorbell import QUEUE, Doorbell
from dialogue.errors import DialogueError
from dialogue.process import home, memory, switching
from dialogue.process.exit_status import ExitStatus, status_of
from dialogue.process.logs import configure
from dialogue.process.stop_limit import StopLimit
from dialogue.process.systemd import notify_ready
from worker import broker_transport, tasks
from worker.engine.choose import build
from worker.engine.port import Engine, ModelServerUnavailable, ModelUnusable
from worker.service import WorkerService
from worker.settings import WorkerSettings

_VISIBILITY_SECONDS = 6 * 3600  # recovery comes from the lease in the database, never from the broker
_STOP_MARGIN_SECONDS = 30.0
"""What a stop may take besides the time that replies are given to finish."""
_FORCED_EXIT_SECONDS = 30.0
"""If an unrecoverable engine has not stopped by then, its thread hangs in the driver."""


def create_app(settings: WorkerSettings) -> Celery:
    """Build the worker; the database and the model are opened when it starts."""
    engine = build(settings)
    broker_transport.install()
    broker_url = home.broker_url(settings)
    app = Celery("worker", broker=broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_transport_options={"visibility_timeout": _VISIBILITY_SECONDS, "socket_keepalive": True},
        worker_pool="threads",
        worker_consumer="worker.consumer:DurableConsumer",
        worker_concurrency=1,  # a ring in hand is held while there is no room; turns have threads of their own
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_detect_quorum_queues=False,
        worker_enable_remote_control=True,
        task_acks_late=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a broker that refuses writes is treated like one that is away
    )
    model = _Model(settings, engine, Doorbell(broker_url))

    class ModelStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
        """Starts after the pool and before the consumer; stops after the consumer, when no new task arrives."""

        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            model.start(_name(worker.hostname))

        def stop(self, _worker: Any) -> None:
            model.stop()

        terminate = stop

    app.steps["worker"].add(ModelStep)
    tasks.register(app, model.rung)
    signals.setup_logging.connect(lambda **_: configure(settings), weak=False)
    signals.worker_shutting_down.connect(lambda **_: model.begin_to_stop(), weak=False)
    signals.worker_ready.connect(lambda **_: _ready(), weak=False)
    return app


def _ready() -> None:
    notify_ready()
    memory.settle()


def _name(node: str) -> str:
    """What Celery's ``name@host`` calls this worker; `mindglm worker` adds its process id, which no successor has."""
    return node.partition("@")[0].removesuffix(f"-{os.getpid()}")


class _Model:
    """The worker's service, created when Celery starts it; until then nothing is opened."""

    def __init__(self, settings: WorkerSettings, engine: Engine, doorbell: Doorbell) -> None:
        self._settings = settings
        self._engine = engine
        self._doorbell = doorbell
        self._service: WorkerService | None = None
        patience_seconds = settings.shutdown_seconds + settings.lease_seconds + _STOP_MARGIN_SECONDS
        self._stop_limit = StopLimit(patience_seconds)

    def start(self, name: str) -> None:
        """An expected error ends the process with one line, not with a traceback."""
        try:
            memory.keep_together()
            switching.hand_over_soon()
            self._service = WorkerService(self._settings, self._engine, self._doorbell, name=name, end=_shut_down)
            self._service.start()
        except ModelServerUnavailable as error:
            _end(error, ExitStatus.TEMPFAIL)
        except ModelUnusable as error:
            _end(error, ExitStatus.CONFIG)
        except DialogueError as error:
            _end(error, status_of(error))

    def begin_to_stop(self) -> None:
        """Celery still consumes for up to a second after SIGTERM; those turns are left to other workers."""
        self._stop_limit.begin()
        if self._service is not None:
            self._service.claim_no_more()

    def stop(self) -> None:
        if self._service is not None:
            self._service.stop()

    def rung(self) -> None:
        if self._service is None:
            raise RuntimeError("A task arrived before the model was loaded.")
        self._service.rung()


def _end(error: Exception, status: int) -> NoReturn:
    """End the whole process, from whichever thread of Celery's."""
    sys.stderr.write(f"mindglm worker: {error}\n")
    sys.stderr.flush()
    os._exit(status)


def _shut_down() -> None:
    """Stop as on SIGTERM, but with a status after which supervisors restart; a hanging thread does not prevent it."""
    state.should_stop = ExitStatus.SOFTWARE
    forced_exit = threading.Timer(_FORCED_EXIT_SECONDS, os._exit, (ExitStatus.SOFTWARE,))
    forced_exit.daemon = True
    forced_exit.start()


def __getattr__(name: str) -> Celery:
    """``celery -A worker`` looks for ``app``: it is made on that first look, so that importing needs no settings."""
    if name != "app":
        raise AttributeError(name)
    try:
        app = globals()["app"] = create_app(WorkerSettings.read())
    except DialogueError as error:
        sys.stderr.write(f"mindglm worker: {error}\n")
        raise SystemExit(status_of(error)) from None
    return app
