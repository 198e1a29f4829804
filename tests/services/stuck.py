"""A process of ours in which something never ends, whatever is cancelled or told to stop: `python -m … telegram`."""

import asyncio
import contextlib
import sys
import threading

import pytest

from mindglm.__main__ import main

_FOR_EVER = threading.Event()
_PATCH = pytest.MonkeyPatch()


async def never_ends(*_ignored: object) -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


def never_returns(*_ignored: object) -> None:
    _FOR_EVER.wait()


def _telegram() -> None:
    from bot.channels.telegram.progress import Progress
    from mindglm import adapter_process

    _PATCH.setattr(Progress, "close", never_ends)
    _PATCH.setattr(adapter_process, "_STOP_SECONDS", 1.0)


def _console() -> None:
    import uvicorn

    from console import server

    _PATCH.setattr(uvicorn.Server, "shutdown", never_ends)
    _PATCH.setattr(server, "_STOP_SECONDS", 1.0)


def _worker() -> None:
    from worker import celery
    from worker.service import WorkerService

    _PATCH.setattr(WorkerService, "stop", never_returns)
    _PATCH.setattr(celery, "_STOP_MARGIN_SECONDS", 0.5)


STUBBORN = {"telegram": _telegram, "console": _console, "worker": _worker}


if __name__ == "__main__":
    STUBBORN[sys.argv[1]]()
    main()
