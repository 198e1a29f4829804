"""A database that is busy, as an adapter meets it."""

import pytest
from sqlalchemy import event

from bot.services import BotServices

GIVES_UP_SOON = pytest.mark.parametrize("busy_seconds", [0.1], ids=[""])
"""The services of this test wait so long for a locked database, instead of fifteen seconds."""


def failures_of(services: BotServices) -> list[BaseException | None]:
    """Fills with what the database answers from now on that is an error."""
    failures: list[BaseException | None] = []
    event.listen(services.database.engine, "handle_error", lambda context: failures.append(context.original_exception))
    return failures
