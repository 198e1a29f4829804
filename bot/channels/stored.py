"""What a channel's doctor reads of the database."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from dialogue.errors import DialogueError
from dialogue.process import home
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import connect

T = TypeVar("T")


def read_stored(settings: DialogueSettings, ask: Callable[[Session], T]) -> T | None:
    """What `ask` finds; None where the database cannot be used, which its own examination tells."""
    try:
        database = connect(home.database_url(settings))
    except DialogueError:
        return None
    try:
        with database.read() as session:
            return ask(session)
    except DialogueError:
        return None
    finally:
        database.close()
