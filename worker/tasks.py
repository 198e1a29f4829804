"""What the doorbell starts. A task is a door: it decodes and calls."""

from collections.abc import Callable
from uuid import UUID

from celery import Celery

from dialogue.doorbell import REPLY_TASK


def register(app: Celery, answer: Callable[[UUID], None]) -> None:
    """Add the worker's tasks to its application."""

    @app.task(name=REPLY_TASK, ignore_result=True)  # type: ignore[untyped-decorator]  # celery has no types
    def reply(conversation_id: str) -> None:
        answer(UUID(conversation_id))
