"""`mindglm worker`: what ``celery -A worker worker`` does, under a name that no successor has."""

import os
import socket

from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.worker import worker as command

from dialogue.process.exit_status import ExitStatus
from worker.celery import create_app
from worker.settings import WorkerSettings


def run(*, concurrency: int | None, name: str | None) -> int:
    """Until SIGTERM; returns the exit status. Raises `Misconfigured`."""
    settings = WorkerSettings.read()
    if concurrency is not None:
        settings = settings.model_copy(update={"concurrency": concurrency})
    node = f"{name or f'mindglm-{os.getpid()}'}@{socket.gethostname()}"
    return _main(create_app(settings), ["--hostname", node])


def _main(app: Celery, arguments: list[str]) -> int:
    """`Celery.worker_main`, which forgets the status and imports all of Celery's other commands (7 MiB)."""
    context = CLIContext(app=app, no_color=False, workdir=None)
    return int(command.main(args=arguments, obj=context, standalone_mode=False) or ExitStatus.OK)
