"""Logs: one line an event, a constant name and ids; never what anyone said."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from dialogue.settings import DialogueSettings

_QUIET = ("httpx", "httpcore", "kombu", "celery", "alembic", "sqlalchemy", "telegram", "transformers")
"""Libraries whose INFO lines hold URLs with tokens, arguments or noise."""


def configure(settings: DialogueSettings, stream: TextIO | None = None) -> None:
    """Send structlog's and the libraries' lines to `stream` (default: stderr), for people or for machines."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings, stream)],
        )
    )
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _renderer(settings: DialogueSettings, stream: TextIO) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
