"""`mindglm worker`: what ``celery -A worker worker`` does, under a name that no successor has."""

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
    create_app(settings).worker_main(["worker", "--hostname", node])
