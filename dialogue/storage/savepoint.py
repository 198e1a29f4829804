"""What may break without taking the transaction around it along: marks and claims of others."""

from collections.abc import Callable

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from dialogue.errors import DatabaseUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def succeeds(session: Session, act: Callable[[], object], *, event: str) -> bool:
    """Call it in a savepoint; what breaks in it is undone and logged as `event`.

    Raises what the database itself refuses: that takes the whole transaction along.
    """
    try:
        with session.begin_nested():
            act()
    except Exception as error:
        if _is_of_the_database(error):
            raise
        log.error(event, error=type(error).__name__)  # noqa: TRY400 - a traceback may hold texts
        return False
    return True


def _is_of_the_database(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or not isinstance(error, DataError | IntegrityError)
    return isinstance(error, DatabaseUnavailable)
