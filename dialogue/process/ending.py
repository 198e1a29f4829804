"""Ends tasks for certain: whatever a task is calling may swallow one cancellation, so it is repeated."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 0.5
"""Between two cancellations of the same task."""


async def end_tasks(tasks: Iterable["asyncio.Future[Any]"], *, within_seconds: float = 10.0) -> bool:
    """Cancel until they are done; False, and a log entry that names them, if some are not within the limit.

    What the tasks raised is dropped.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_seconds
    tasks = list(tasks)
    pending = {task for task in tasks if not task.done()}
    while pending and loop.time() < deadline:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # looked at, or asyncio complains that nobody did
    if pending:
        import structlog  # not at the top: the supervisor of `mindglm up` does without

        log: structlog.stdlib.BoundLogger = structlog.get_logger()
        log.error("tasks_not_ended", tasks=sorted(_name(task) for task in pending), seconds=within_seconds)
    return not pending


def running_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """What the tasks of that loop are called after, for the log: names only. Callable from any thread."""
    return sorted(_name(task) for task in asyncio.all_tasks(loop))


def _name(task: "asyncio.Future[Any]") -> str:
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    return getattr(coroutine, "__qualname__", type(task).__name__)
