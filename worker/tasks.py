"""The Celery task that the doorbell sends: it calls, and logs errors without anybody's words."""

from collections.abc import Callable

import structlog
from celery import Celery

from dialogue.broker.doorbell import REPLY_TASK
from dialogue.errors import DialogueError

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def register(app: Celery, rung: Callable[[], None]) -> None:
    """Add the worker's tasks to its application."""

    @app.task(name=REPLY_TASK, ignore_result=True)  # type: ignore[untyped-decorator]  # celery has no types
    def reply(conversation_id: str) -> None:
        """Any ring makes the worker look at everything; the conversation is the one that was rung for."""
        try:
            rung()
        except DialogueError as error:
            log.warning("task_failed", conversation_id=conversation_id, error=str(error))
        except Exception:
            # outermost: Celery would log the error's message, which may quote a person
            log.exception("task_raised", conversation_id=conversation_id)
