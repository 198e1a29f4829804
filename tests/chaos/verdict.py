"""What came of it, judged by what people saw on the platforms."""

import re
from collections import Counter
from dataclasses import asdict, dataclass, field

from sqlalchemy import func, select

from dialogue.core import danger_course
from dialogue.states import OPEN_TURN_STATES, DeliveryState
from dialogue.storage.database import Database
from dialogue.tables import AuditEntry, Delivery, Turn
from dialogue.upkeep import key_rotation
from tests.chaos.city import DATABASE, REPLY
from tests.chaos.crowd import Call, Crowd, Role, Somebody
from tests.chaos.keeper import Outages

UNKNOWN = "unknown"
_ID = re.compile(r"\b[0-9a-f]{8,32}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts over everybody. The first nine must be zero.

    `untold_alarms` are conversations in danger of which no admin heard, `under_old_keys` people whose data key was not
    wrapped anew after the last rotation.
    """

    unanswered: int
    twice: int
    out_of_order: int
    foreign: int
    after_the_end: int
    unanswered_calls: int
    unfinished: int
    untold_alarms: int
    under_old_keys: int
    said: int
    answered: int
    ended: int
    marked_unknown: int
    apologies: int
    calls: int
    slowest_call_seconds: float
    slowest_call_after_outage_seconds: float
    examples: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not any(
            (
                self.unanswered,
                self.twice,
                self.out_of_order,
                self.foreign,
                self.after_the_end,
                self.unanswered_calls,
                self.unfinished,
                self.untold_alarms,
                self.under_old_keys,
            )
        )

    def numbers(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if isinstance(value, int | float)}


def judge(
    crowd: Crowd,
    database: Database,
    outages: Outages,
    *,
    newest_key: str,
    told_to_admins: list[str],
    apology: str,
    goodbye: str,
) -> Verdict:
    """After everything was mended and has become quiet."""
    unknown = _unknown_by_chat(database)
    counts: Counter[str] = Counter()
    examples: list[str] = []
    for person in crowd.people:
        if person.role is Role.TALKER:
            reading = _Reading(person, apology=apology, goodbye=goodbye)
            found = reading.judge(marked=sum(unknown[chat_id] for chat_id in person.chat_ids))
            counts.update(found)
            bad = [f"{name} {count}" for name, count in found.items() if name in _BAD and count]
            examples += [f"{person.name}: {', '.join([*bad, *reading.told])}"] if bad else []
    calls = [call for person in crowd.people for call in person.calls]
    alone, after = _call_seconds(calls, outages)
    return Verdict(
        **{name: counts[name] for name in (*_BAD, "answered", "ended", "apologies")},
        unanswered_calls=sum(call.answered_at is None for call in calls),
        unfinished=_unfinished(database),
        untold_alarms=_untold_alarms(database, told_to_admins),
        under_old_keys=_under_old_keys(database, newest_key),
        said=crowd.said,
        marked_unknown=sum(unknown.values()),
        calls=len(calls),
        slowest_call_seconds=round(max(alone, default=0.0), 2),
        slowest_call_after_outage_seconds=round(max(after, default=0.0), 2),
        examples=examples,
    )


_BAD = ("unanswered", "twice", "out_of_order", "foreign", "after_the_end")


class _Reading:
    """One person's lines beside what they saw."""

    def __init__(self, person: Somebody, *, apology: str, goodbye: str) -> None:
        self.told: list[str] = []
        self._person = person
        self._apology = apology
        self._goodbye = goodbye
        self._place = {line.text: place for place, line in enumerate(person.lines) if not line.is_end}
        self._ends = [place for place, line in enumerate(person.lines) if line.is_end]

    def judge(self, *, marked: int) -> dict[str, int]:
        found: Counter[str] = Counter(ended=len(self._ends))
        answered: list[int] = []
        goodbyes = 0
        for text in self._person.platform.seen(self._person.who):
            found["apologies"] += text == self._apology
            goodbyes += text == self._goodbye
            for line in text.removeprefix(REPLY).split("\n") if text.startswith(REPLY) else ():
                place = self._place.get(line)
                if place is None:
                    found["foreign"] += 1
                    continue
                found["twice"] += place in answered
                if answered and place < answered[-1]:
                    found["out_of_order"] += 1
                    self.told.append(f"line {place} after line {answered[-1]}")
                found["after_the_end"] += place < self._last_end(goodbyes)
                answered.append(place)
        found["answered"] = len(set(answered))
        if not marked and not found["apologies"]:
            found["unanswered"] = len(self._owed() - set(answered))
        return found

    def _last_end(self, goodbyes: int) -> int:
        return self._ends[min(goodbyes, len(self._ends)) - 1] if goodbyes and self._ends else -1

    def _owed(self) -> set[int]:
        """What was said since the last end; what came before one may have been discarded by it."""
        last = self._ends[-1] if self._ends else -1
        return {place for place in self._place.values() if place > last}


def _call_seconds(calls: list[Call], outages: Outages) -> tuple[list[float], list[float]]:
    """How long answers took with adapter, database and platform there, and after the last of them was back."""
    alone: list[float] = []
    after: list[float] = []
    for call in calls:
        if call.answered_at is None:
            continue
        back_at = outages.end_of_last(whats={call.channel, DATABASE}, between=(call.said_at, call.answered_at))
        if back_at is None:
            alone.append(call.answered_at - call.said_at)
        else:
            after.append(max(0.0, call.answered_at - max(back_at, call.said_at)))
    return alone, after


def _untold_alarms(database: Database, told: list[str]) -> int:
    """An admin is told by the beginning of the conversation's id."""
    beginnings = {word for text in told for word in _ID.findall(text)}
    with database.read() as session:
        alarmed = set(
            session.scalars(
                select(AuditEntry.conversation_id).where(
                    AuditEntry.action == danger_course.ALARM, AuditEntry.conversation_id.is_not(None)
                )
            )
        )
    hexes = [conversation_id.hex for conversation_id in alarmed if conversation_id is not None]
    return sum(not any(one.startswith(beginning) for beginning in beginnings) for one in hexes)


def _under_old_keys(database: Database, newest_key: str) -> int:
    with database.read() as session:
        return sum(count for key_id, count in key_rotation.wrapped_by(session).items() if key_id != newest_key)


def _unknown_by_chat(database: Database) -> Counter[str]:
    with database.read() as session:
        chats = session.scalars(
            select(Delivery.chat_id).where(Delivery.state == DeliveryState.FAILED, Delivery.error == UNKNOWN)
        )
        return Counter(chats)


def held_chats(database: Database) -> set[str]:
    """Where something waits for the person to write again."""
    with database.read() as session:
        return set(session.scalars(select(Delivery.chat_id).where(Delivery.state == DeliveryState.HELD)))


def _unfinished(database: Database) -> int:
    with database.read() as session:
        turns = session.scalar(select(func.count(Turn.id)).where(Turn.state.in_(OPEN_TURN_STATES))) or 0
        owed = session.scalar(
            select(func.count(Delivery.id)).where(
                Delivery.state.in_([DeliveryState.PENDING, DeliveryState.SENDING]), Delivery.text.is_not(None)
            )
        )
        return turns + (owed or 0)
