"""Somebody who writes to the real reception, message after message; a fake model answers whatever turn was opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from bot.incoming.consent_terms import gate
from bot.incoming.inbox import Inbox
from bot.incoming.receipt import Receipt
from bot.incoming.second_reader import SecondReader
from care import texts
from care.course import Course
from care.hotlines import directory
from care.screening import Route, Tier
from care.scripts import Voice
from dialogue.core import danger_course, people
from dialogue.core.turns import ClaimedTurn
from dialogue.messages import Address
from dialogue.process.duty_hours import DutyHours
from dialogue.tables import AuditEntry, Delivery
from tests.builders import CHANNEL, Rooms, message

REPLY = "（模型的回复）"
ADMIN = Address(channel="telegram", chat_id="4711")
PAUSE_SECONDS = 20.0


def each(names: str | tuple[str, ...], values: Sequence[object]) -> pytest.MarkDecorator:
    """Variations, numbered: what people in danger say does not become a test's name."""
    return pytest.mark.parametrize(names, values, ids=[str(number) for number in range(len(values))])


@dataclass
class Heard:
    """What one message led to."""

    receipt: Receipt
    words: list[str]

    @property
    def all(self) -> str:
        return "\n".join(self.words)

    @property
    def ours(self) -> str:
        """What we said ourselves."""
        return self.all.replace(REPLY, "")

    @property
    def has_reply(self) -> bool:
        """Whether the model was asked."""
        return REPLY in self.all


class Client:
    """`agrees`: how they answered the notice; None for somebody who was never asked."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        agrees: str | None = "同意",
        admins: tuple[Address, ...] = (ADMIN,),
        duty_hours: DutyHours | None = None,
        is_attended: bool = True,
        is_labelling: bool = False,
        second_reader: SecondReader | None = None,
    ) -> None:
        self.rooms, self.who = rooms, uuid4().hex
        self.texts = texts.load("zh")
        self._seen: set[UUID] = set()
        self.prompts: list[ClaimedTurn] = []
        lines = directory("cn")
        self._inbox = Inbox(
            database=rooms.database,
            keys=rooms.keys,
            texts=self.texts,
            voice=Voice(locale="zh", directory=lines),
            gate=gate(
                self.texts, lines, retention_days=30, is_required=True, serves_children=False, is_labelling=is_labelling
            ),
            max_message_length=1000,
            admins=admins,
            duty_hours=duty_hours,
            is_attended=is_attended,
            second_reader=second_reader,
            clock=rooms.clock,
        )
        for text in ("你好", agrees) if agrees is not None else ():
            self.says(text)

    @property
    def notice(self) -> str:
        return self._inbox.rules.gate.notice.text

    def says(self, *said: str) -> Heard:
        """Several messages, one after another; what the last of them led to."""
        heard = None
        for text in said:
            receipt = self._inbox.receive_blocking(message(text, who=self.who))
            if receipt.turn_id is not None and receipt.conversation_id is not None:
                self._reply(receipt.conversation_id)
            self.rooms.clock.tick(PAUSE_SECONDS)
            heard = Heard(receipt, self._new_words())
        assert heard is not None
        return heard

    def says_unanswered(self, text: str) -> Heard:
        """The model is slow: its turn stays open."""
        receipt = self._inbox.receive_blocking(message(text, who=self.who))
        self.rooms.clock.tick(PAUSE_SECONDS)
        return Heard(receipt, self._new_words())

    def hears(self) -> list[str]:
        """What was said since, unasked."""
        return self._new_words()

    def waits(self, minutes: float) -> None:
        self.rooms.clock.tick(minutes * 60)

    @property
    def course(self) -> Course:
        with self.rooms.database.begin() as session:
            person = people.locked(session, self.rooms.keys, channel=CHANNEL, user_id=self.who, now=self.rooms.clock())
            return danger_course.course_of(person, None)

    @property
    def tier(self) -> Tier:
        return self.course.tier

    @property
    def route(self) -> Route:
        return self.course.route

    def actions(self) -> list[str]:
        """What the audit says about them."""
        with self.rooms.database.begin() as session:
            person = people.locked(session, self.rooms.keys, channel=CHANNEL, user_id=self.who, now=self.rooms.clock())
            found = select(AuditEntry.action).where(AuditEntry.person_id == person.id).order_by(AuditEntry.id)
            return list(session.scalars(found))

    def _reply(self, conversation_id: UUID) -> None:
        owner = uuid4()
        turn = self.rooms.claimed(conversation_id, owner=owner)
        self.prompts.append(turn)
        self.rooms.complete(turn, REPLY, owner=owner)

    def _new_words(self) -> list[str]:
        with self.rooms.database.read() as session:
            owed = session.scalars(
                select(Delivery).where(Delivery.chat_id == self.who).order_by(Delivery.kind.desc(), Delivery.id)
            ).all()
            new = [row for row in owed if row.id not in self._seen and row.text]
            self._seen |= {row.id for row in new}
            keys = {row.person_id: people.key_of(session, self.rooms.keys, row.person_id) for row in new}
            return [
                keys[row.person_id].open(row.text, row=row.id, column="deliveries.text")
                for row in sorted(new, key=lambda row: row.id)
                if row.text
            ]
