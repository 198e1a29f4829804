"""One person, and what a single step makes of their messages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update

from bot.incoming import danger
from bot.incoming.consent_terms import gate
from bot.incoming.limits import UNLIMITED
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Rules, Situation, Text, What, load
from bot.staff.desk import Desk
from care import texts
from care.age import AgeBand
from care.hotlines import directory
from care.scripts import Voice
from dialogue.admin import takeover
from dialogue.admin.office import Actor, Office
from dialogue.core import consent, people
from dialogue.messages import Address, InboundMessage
from dialogue.states import DeliveryKind
from dialogue.tables import PEOPLE, Delivery, Message, Person
from tests.builders import CHANNEL, Rooms, message

ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"
CALM = "我睡不着"

Step = Callable[[Situation], Outcome]


class Talk:
    """Their messages are decided by one step at a time, each in a transaction of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.clock = rooms.clock
        self.who = uuid4().hex
        self.words = texts.load("zh")
        self.admin = Address(channel="telegram", chat_id=uuid4().hex)
        office = Office(keys=rooms.keys, texts=self.words, admins=(self.admin,))
        self.rules = Rules(
            texts=self.words,
            voice=Voice(locale="zh", directory=directory("cn")),
            gate=gate(
                self.words,
                directory("cn"),
                retention_days=30,
                is_required=True,
                serves_children=False,
                is_labelling=True,
            ),
            limits=UNLIMITED,
            office=office,
            desk=Desk(
                office=office,
                shows_texts=True,
                max_length=100,
            ),
            max_message_length=100,
        )

    def message(self, text: str = CALM, *, external_id: str | None = None) -> InboundMessage:
        return message(text, who=self.who, external_id=external_id)

    def ask(self, step: Step, said: str | InboundMessage = CALM, *, what: What | None = None) -> Outcome:
        """What the step returns; what it wrote is committed."""
        inbound = self.message(said) if isinstance(said, str) else said
        with self.rooms.database.begin() as session:
            return step(load(session, self.rules, what or Text(), inbound, now=self.clock()))

    def answered(self, step: Step, said: str | InboundMessage = CALM, *, what: What | None = None) -> Receipt:
        """The step answers."""
        outcome = self.ask(step, said, what=what)
        assert isinstance(outcome, Receipt)
        return outcome

    def passed_on(self, step: Step, said: str | InboundMessage = CALM, *, what: What | None = None) -> Situation:
        """The step leaves it to others; nothing is answered."""
        outcome = self.ask(step, said, what=what)
        assert isinstance(outcome, Situation)
        assert self.owed() == []
        return outcome

    def agree(self, *, band: AgeBand = AgeBand.ADULT) -> None:
        with self.rooms.database.begin() as session:
            person = people.locked(session, self.rooms.keys, channel=CHANNEL, user_id=self.who, now=self.clock())
            consent.agree(session, person, version=self.rules.gate.notice.version, band=band, now=self.clock())

    def set(self, **columns: object) -> None:
        """As if something had happened to the person before."""
        with self.rooms.database.begin() as session:
            people.locked(session, self.rooms.keys, channel=CHANNEL, user_id=self.who, now=self.clock())
            session.execute(update(PEOPLE).where(PEOPLE.c.user_id == self.who).values(**columns))

    def been_here(self, minutes: float, *, silent_for: float = 0) -> None:
        """Their visit began that long ago, and their last message came `silent_for` minutes ago."""
        now = self.clock()
        self.set(visit_began_at=now - timedelta(minutes=minutes), heard_at=now - timedelta(minutes=silent_for))

    def in_danger(self, text: str = ACUTE) -> None:
        """They said so before."""

        def assess(situation: Situation) -> Outcome:
            return danger.assess(situation, situation.words.screening)[0]

        self.ask(assess, text)

    def opened(self) -> UUID:
        """A conversation of theirs."""
        outcome = self.ask(lambda situation: situation.in_conversation()[0])
        assert isinstance(outcome, Situation)
        assert outcome.conversation is not None
        return outcome.conversation.id

    def taken_over(self) -> UUID:
        """A conversation of theirs in which the admin answers."""
        conversation_id = self.opened()
        with self.rooms.database.begin() as session:
            by = Actor.at(self.admin)
            takeover.take_over(session, self.rules.office, conversation_id, by=by, now=self.clock())
        self.forget_owed()
        return conversation_id

    def owed(self, *, to: Address | None = None) -> list[str]:
        """What they, or the admin, are owed, in its order."""
        return [text for _, text in self.owed_by_kind(to=to)]

    def owed_by_kind(self, *, to: Address | None = None) -> list[tuple[DeliveryKind, str]]:
        to = to or Address(channel=CHANNEL, chat_id=self.who)
        with self.rooms.database.read() as session:
            rows = session.scalars(
                select(Delivery)
                .where(Delivery.channel == to.channel, Delivery.chat_id == to.chat_id)
                .order_by(Delivery.id)
            ).all()
            keys = {row.person_id: people.key_of(session, self.rooms.keys, row.person_id) for row in rows if row.text}
            return [
                (row.kind, keys[row.person_id].open(row.text, row=row.id, column="deliveries.text") if row.text else "")
                for row in rows
            ]

    def forget_owed(self) -> None:
        with self.rooms.database.begin() as session:
            session.execute(delete(Delivery).where(Delivery.chat_id.in_([self.who, self.admin.chat_id])))

    def stored(self) -> list[str | None]:
        """Their messages as they are kept, oldest first; None for one without words."""
        with self.rooms.database.read() as session:
            person_id = self.person().id
            key = people.key_of(session, self.rooms.keys, person_id)
            rows = session.scalars(select(Message).where(Message.person_id == person_id).order_by(Message.id)).all()
            return [key.open(row.text, row=row.id, column="messages.text") if row.text else None for row in rows]

    def person(self) -> Person:
        with self.rooms.database.read() as session:
            return session.scalars(select(Person).where(Person.user_id == self.who)).one()

    def with_rules(self, **rules: object) -> None:
        self.rules = replace(self.rules, **rules)  # type: ignore[arg-type]  # a test's own
