"""`mindglm worker`: what ``celery -A worker worker`` does, without the gossip between workers that we do not need."""

import os
import socket

from worker.celery import create_app
from worker.settings import WorkerSettings


def run(*, concurrency: int | None, name: str | None) -> None:
    """Until SIGTERM; raises `Misconfigured`."""
    settings = WorkerSettings.read()
    if concurrency is not None:
        settings = settings.model_copy(update={"concurrency": concurrency})
    node = f"{name or f'mindglm-{os.getpid()}'}@{socket.gethostname()}"
    arguments = ["worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname", node]
    create_app(settings).worker_main(arguments)
