"""What cannot be parsed is kept for staff, who are alerted: at once where it holds words of danger."""

from datetime import datetime

from sqlalchemy.orm import Session

from bot.incoming.urgency import is_urgent
from dialogue.admin import alerts
from dialogue.admin.office import Office
from dialogue.core import unparsed
from dialogue.core.unparsed import Unparsed

_PIECE = 4000
_OVERLAP = 200
"""Characters that are screened twice, so that words across the border of two pieces are found."""


def keep(session: Session, office: Office, update: Unparsed, *, now: datetime) -> bool:
    """False if it was kept before. Of a series in a few minutes only the first one is told, and those in danger."""
    latest_at = unparsed.latest_at(session, update.channel)
    kept_id = unparsed.keep(session, office.keys, update, now=now)
    if kept_id is None:
        return False
    is_dangerous = _holds_danger(update.content)
    if is_dangerous or latest_at is None or now - latest_at > alerts.QUIET:
        words = "alert_unparsed_danger" if is_dangerous else "alert_unparsed"
        text = office.texts.say(words, id=kept_id, channel=update.channel, at=office.clock_time(now))
        alerts.alert(session, office, text, conversation_id=None, now=now)
    return True


def _holds_danger(content: str) -> bool:
    return any(is_urgent(content[start : start + _PIECE]) for start in range(0, len(content), _PIECE - _OVERLAP))
