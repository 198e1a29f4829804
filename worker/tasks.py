"""What the doorbell starts. A task is a door: it decodes, calls, and says what went wrong without anybody's words."""

from collections.abc import Callable
from uuid import UUID

import structlog
from celery import Celery

from dialogue.broker.doorbell import REPLY_TASK
from dialogue.errors import DialogueError

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def register(app: Celery, answer: Callable[[UUID], None]) -> None:
    """Add the worker's tasks to its application."""

    @app.task(name=REPLY_TASK, ignore_result=True)  # type: ignore[untyped-decorator]  # celery has no types
    def reply(conversation_id: str) -> None:
        try:
            answer(UUID(conversation_id))
        except DialogueError as error:
            log.warning("task_failed", conversation_id=conversation_id, error=str(error))
        except Exception:
            # the outermost place: Celery would log what the error says, and with it perhaps what a person said
            log.exception("task_broke", conversation_id=conversation_id)
