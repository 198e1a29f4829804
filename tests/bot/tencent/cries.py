"""Words in danger of people to whom nothing more may be sent: whether a human hears of them, and what is said first."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sqlalchemy import select

from dialogue.storage.database import Database
from dialogue.tables import CASES, PEOPLE

_ACUTE = "我今晚就想结束自己"
_HOTLINE = "120"
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.01

MAX_ALARM_SECONDS = 2.0


class RefusesMore(Protocol):
    """A platform with a budget; for those who are `spent` it takes nothing more."""

    spent: set[str]

    def say(self, person: str, text: str) -> str: ...

    def seen(self, person: str) -> list[Any]: ...


def cry_unheard(platform: RefusesMore, database: Database, people: Iterable[str], *, admin: str) -> tuple[float, int]:
    """The longest that a case and the alert of `admin` took, and of how many the words came not first afterwards."""
    longest, not_first = 0.0, 0
    for person in people:
        platform.spent.add(person)
        seen_before, alerts_before = len(platform.seen(person)), len(platform.seen(admin))
        began_at = time.monotonic()
        platform.say(person, _ACUTE)
        _wait(lambda: _has_case(database, person) and len(platform.seen(admin)) > alerts_before)  # noqa: B023 - is called here
        longest = max(longest, time.monotonic() - began_at)
        platform.spent.discard(person)
        platform.say(person, "在吗")
        _wait(lambda: len(platform.seen(person)) > seen_before)  # noqa: B023 - is called here
        heard = platform.seen(person)[seen_before:]
        not_first += not heard or _HOTLINE not in heard[0].text
        platform.say(admin, "好")  # what may be sent to them is renewed
    return round(longest, 2), not_first


def _has_case(database: Database, person: str) -> bool:
    with database.read() as session:
        theirs = select(CASES.c.id).join(PEOPLE, PEOPLE.c.id == CASES.c.person_id).where(PEOPLE.c.user_id == person)
        return session.scalar(theirs) is not None


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so() and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
