"""`mindglm worker`: what ``celery -A worker worker`` does, under a name that no successor has."""

import os
import socket

from celery import Celery
from celery.bin.celery import celery as command

from dialogue.process.exit_status import ExitStatus
from worker.celery import create_app
from worker.settings import WorkerSettings


def run(*, concurrency: int | None, name: str | None) -> int:
    """Until SIGTERM; returns the exit status. Raises `Misconfigured`."""
    settings = WorkerSettings.read()
    if concurrency is not None:
        settings = settings.model_copy(update={"concurrency": concurrency})
    node = f"{name or f'mindglm-{os.getpid()}'}@{socket.gethostname()}"
    return _main(create_app(settings), ["worker", "--hostname", node])


def _main(app: Celery, arguments: list[str]) -> int:
    """`Celery.worker_main`, which forgets the status."""
    command.params[0].default = app
    try:
        status = command.main(args=arguments, standalone_mode=False)
    finally:
        command.params[0].default = None
    return int(status or ExitStatus.OK)
