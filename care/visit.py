"""A visit: one stretch of use, from which reminders, rests and the day's label are counted. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """How long somebody has been here, and what they were told in that time."""

    began_at: datetime | None = None
    heard_at: datetime | None = None  # the last message, to within a few minutes
    reminded_at: datetime | None = None
    labelled_at: datetime | None = None  # the last reply that said it was made by a machine
