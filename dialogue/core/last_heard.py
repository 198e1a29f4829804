"""When anybody was heard on a channel."""

from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from dialogue.tables import MESSAGES

_LATEST = select(func.max(MESSAGES.c.received_at)).where(MESSAGES.c.channel == bindparam("of_channel"))


def latest_at(session: Session, channel: str) -> datetime | None:
    """Of the messages that are still kept."""
    found: datetime | None = session.scalar(_LATEST, {"of_channel": channel})
    return found
