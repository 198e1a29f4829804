"""A platform that takes so many messages for each that its person writes, and lets nothing be said twice."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from bot.outgoing.claims import WithinBudget
from bot.outgoing.courier import Courier, WaitForPerson
from bot.outgoing.crisis_alarms import CrisisAlarms
from bot.outgoing.splitting import Measure
from care.texts import load
from dialogue.admin.office import Office
from dialogue.core import outbox, people
from dialogue.core.budgeted_claims import Claimed, claim_within_budget
from dialogue.core.intake import Received
from dialogue.messages import Address, Allowance, OwedText
from dialogue.states import DeliveryKind
from tests.builders import CHANNEL, Rooms, message

SENDS = 5
WINDOW = timedelta(hours=48)
LONGEST = 120
MORE = "（未完）"
ADMIN = Address(channel="telegram", chat_id="1")


class RationedPlatform:
    """`sends` is what the platform really allows, whatever we believe."""

    name = CHANNEL

    def __init__(self, rooms: Rooms, *, sends: int = SENDS) -> None:
        self.sends = sends
        self.said: dict[str, list[str]] = defaultdict(list)
        self.refused: list[DeliveryKind] = []
        self._clock = rooms.clock
        self._left: dict[str, int] = {}
        self._until: dict[str, datetime] = {}
        self._seen: set[UUID] = set()

    def wrote(self, who: str) -> None:
        self._left[who] = self.sends
        self._until[who] = self._clock() + WINDOW

    async def send(self, text: OwedText) -> str | None:
        who = text.address.chat_id
        if text.id in self._seen:
            return text.id.hex
        if not self._left.get(who) or self._clock() >= self._until[who]:
            self.refused.append(text.kind)
            raise WaitForPerson
        self._left[who] -= 1
        self._seen.add(text.id)
        self.said[who].append(text.text)
        return text.id.hex


def office(rooms: Rooms) -> Office:
    return Office(keys=rooms.keys, texts=load("zh"), admins=(ADMIN,))


def courier(rooms: Rooms, platform: RationedPlatform, *, owner: UUID | None = None) -> Courier:
    claims = WithinBudget(
        channel=CHANNEL,
        keys=rooms.keys,
        longest=LONGEST,
        measure=Measure.UTF8,
        more=MORE,
        alarms=CrisisAlarms(office=office(rooms)),
    )
    return Courier(
        database=rooms.database, keys=rooms.keys, sender=platform, claims=claims, owner=owner, clock=rooms.clock
    )


def write(rooms: Rooms, platform: RationedPlatform | None = None, *, who: str = "小王") -> Received:
    """The person writes, which the platform notices too."""
    if platform is not None:
        platform.wrote(who)
    now = rooms.clock()
    inbound = replace(message(who=who), sent_at=now, allowance=Allowance(sends=SENDS, until=now + WINDOW))
    received = rooms.receive(inbound)
    assert received is not None
    return received


def owe(
    rooms: Rooms,
    text: str,
    kind: DeliveryKind = DeliveryKind.NOTICE,
    *,
    who: str = "小王",
    conversation_id: UUID | None = None,
) -> UUID:
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=who, now=rooms.clock())
        return outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=Address(channel=CHANNEL, chat_id=who),
            text=text,
            kind=kind,
            conversation_id=conversation_id,
            now=rooms.clock(),
        )


def claim(
    rooms: Rooms, owner: UUID, *, limit: int = 9, longest: int = 4, accounts: Collection[str] | None = None
) -> Claimed:
    """What may be sent now, as many letters in one text as `longest`."""
    with rooms.database.begin() as session:
        return claim_within_budget(
            session,
            rooms.keys,
            CHANNEL,
            owner=owner,
            lease_seconds=60,
            limit=limit,
            fits=lambda text: len(text) <= longest,
            accounts=accounts,
            now=rooms.clock(),
        )
