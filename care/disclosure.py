"""What people are told about whom they talk to, when, and what their answer means.

The version of a notice is drawn from its words: change a word, and everybody is asked again.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from care.hotlines import Directory
from care.normalise import normalise
from care.texts import Texts

CONTINUOUS_USE: Final = timedelta(
    hours=2
)  # 人工智能拟人化互动服务管理暂行办法, draft of December 2025; SB 243 asks for 3 h
LONG_PAUSE: Final = timedelta(hours=12)  # coming back after it counts as a new visit
SHORT_PAUSE: Final = timedelta(minutes=30)  # a pause as long as this ends continuous use

_DECLINES: Final = re.compile(
    r"^(?:我)?(?:不同意|不愿意|不接受|拒绝|不|decline|disagree|i (?:decline|disagree)|no)[。.!]?$"
)
_AGREES: Final = re.compile(r"^(?:我)?(?:同意|agree|i agree)(?:了|的)?[。.!]?$")  # 好的 and 嗯 are no separate consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The first notice, and the version that is kept with a consent to it."""

    version: str
    text: str


class Reminder(StrEnum):
    """Which reminder is due. The values are keys of the locale's texts."""

    PERIODIC = "disclosure_periodic"
    RETURN = "disclosure_return"


def notice(texts: Texts, directory: Directory, *, retention_days: int, minimum_age: int) -> Notice:
    """What somebody reads before anything of theirs is kept."""
    words = texts.say(
        "disclosure_first",
        retention_days=retention_days,
        minimum_age=minimum_age,
        **directory.fillings(texts.locale),
    )
    return Notice(version=hashlib.sha256(words.encode()).hexdigest()[:12], text=words)


def consents(text: str) -> bool | None:
    """Yes, no, or None where the answer is neither: silence and other talk are not consent."""
    plain = normalise(text)
    if _DECLINES.match(plain):
        return False
    return True if _AGREES.match(plain) else None


def reminder(
    *, visit_began_at: datetime, reminded_at: datetime | None, heard_at: datetime | None, now: datetime
) -> Reminder | None:
    """The reminder due with a message that arrives now; `heard_at` is the message before it."""
    if heard_at is not None and now - heard_at >= LONG_PAUSE:
        return Reminder.RETURN
    since = max(visit_began_at, reminded_at) if reminded_at else visit_began_at
    return Reminder.PERIODIC if now - since >= CONTINUOUS_USE else None


def begins_visit(*, heard_at: datetime | None, now: datetime) -> bool:
    """Whether a message that arrives now begins a new visit, from which continuous use is counted."""
    return heard_at is None or now - heard_at >= SHORT_PAUSE
