"""Logging: one line per event, a constant name plus ids; never what a person wrote."""

import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

from dialogue.process.settings import DialogueSettings

_QUIET = (
    "authlib",
    "httpx",
    "httpcore",
    "kombu",
    "celery",
    "alembic",
    "sqlalchemy",
    "transformers",
    "opentelemetry",
    "urllib3",
)
"""Libraries whose INFO lines hold URLs with tokens, arguments or noise."""

_PLACES: Final = 5
"""Frames logged per exception, innermost first."""


def configure(settings: DialogueSettings, stream: TextIO | None = None) -> None:
    """Send structlog's and the libraries' lines to `stream` (default: stderr), for people or for machines."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_one_line,
        _without_words,
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


def _in_one_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Reduce libraries' log records to what may be logged."""
    if "\n" in str(event.get("event")):
        event["event"] = " | ".join(line.strip() for line in str(event["event"]).splitlines() if line.strip())
    return event


def _without_words(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Log an exception's types and locations only: its message may quote what a person wrote."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["raised"] = " < ".join(_told(error))
    return event


def _exception(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    found = given if isinstance(given, tuple) else sys.exc_info() if given else (None, None, None)
    return found[1] if isinstance(found[1], BaseException) else None


def _told(error: BaseException) -> Iterator[str]:
    """The error, then its causes."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = traceback.extract_tb(cause.__traceback__)[-_PLACES:]
        places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        yield f"{type(cause).__name__} at {places or 'an unknown place'}"
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _renderer(settings: DialogueSettings, stream: TextIO) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=stream.isatty())
