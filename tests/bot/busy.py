"""A database that is busy, as an adapter meets it."""

from sqlalchemy import event

from bot.services import BotServices


def give_up_soon(services: BotServices) -> None:
    """Wait for a locked database a tenth of a second instead of fifteen."""
    engine = services.database.engine
    event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout = 100"))
    engine.dispose()  # what is connected already


def failures_of(services: BotServices) -> list[BaseException | None]:
    """Fills with what the database answers from now on that is an error."""
    failures: list[BaseException | None] = []
    event.listen(services.database.engine, "handle_error", lambda context: failures.append(context.original_exception))
    return failures
