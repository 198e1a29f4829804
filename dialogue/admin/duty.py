"""Whether somebody of the staff is there now: by the hours that the operator names, or because one is signed in."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from uuid import UUID

from sqlalchemy import bindparam, exists, select
from sqlalchemy.orm import Session

from dialogue.tables import AUDIT
from dialogue.tables.staff import StaffSession

ASKED_FOR_A_HUMAN = "asked_for_human"
"""The `action` of an audit entry that says: this person wants to talk to a human."""

_PEOPLES_TIME = timezone(timedelta(hours=8))
_WRITTEN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_SIGNED_IN = select(exists().where(StaffSession.expires_at > bindparam("now", type_=StaffSession.expires_at.type)))
_ASKED = select(
    exists().where(
        AUDIT.c.conversation_id == bindparam("conversation_id"),
        AUDIT.c.action == ASKED_FOR_A_HUMAN,
        AUDIT.c.at > bindparam("since", type_=AUDIT.c.at.type),
    )
)


@dataclass(frozen=True, slots=True)
class DutyHours:
    """From and until when somebody looks after the conversations, every day, at UTC+8; it may pass midnight."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def holds(self, now: datetime) -> bool:
        """Whether `now` lies in them."""
        local = now.astimezone(_PEOPLES_TIME).time()
        if self.begin <= self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end


def parse(written: str) -> DutyHours | None:
    """`09:00-21:30`; None for an empty text. ValueError for anything else."""
    if not written.strip():
        return None
    found = _WRITTEN.fullmatch(written.strip())
    if found is None:
        raise ValueError("hours of duty are written like 09:00-21:00")
    hours = [int(number) for number in found.groups()]
    return DutyHours(time(hours[0], hours[1]), time(hours[2], hours[3]))


def is_somebody_there(session: Session, hours: DutyHours | None, *, now: datetime) -> bool:
    """By the hours, or because somebody is signed in at the console."""
    if hours is not None and hours.holds(now):
        return True
    return bool(session.scalar(_SIGNED_IN, {"now": now}))


def was_asked_for(session: Session, conversation_id: UUID, *, since: datetime) -> bool:
    """Whether the staff were told already that this person wants a human."""
    return bool(session.scalar(_ASKED, {"conversation_id": conversation_id, "since": since}))
