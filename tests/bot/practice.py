"""A practice whose clock the test moves: what people say there, and what they hear."""

from uuid import UUID

from sqlalchemy import func, select

from bot.incoming.consent_terms import gate
from bot.incoming.inbox import Inbox
from bot.incoming.receipt import Receipt
from bot.services import BotServices
from care import texts
from care.hotlines import directory
from care.scripts import Voice
from dialogue.states import TurnState
from dialogue.tables import AuditEntry, Message, Person, Turn
from tests.builders import FakeClock, Rooms, message

ME = UUID(int=3)
ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"


class Practice:
    """An inbox and what it said."""

    def __init__(self, services: BotServices) -> None:
        self.services = services
        self.clock = FakeClock()
        self.rooms = Rooms(services.database, services.keys, clock=self.clock)
        self.words = texts.load("zh")
        self.directory = directory("cn")
        self._heard = 0
        self.inbox = self.with_gate()

    def with_gate(
        self,
        *,
        retention_days: int = 30,
        is_required: bool = True,
        serves_children: bool = False,
        is_labelling: bool = False,
    ) -> Inbox:
        self.inbox = Inbox(
            database=self.services.database,
            keys=self.services.keys,
            texts=self.words,
            voice=Voice(locale="zh", directory=self.directory),
            gate=gate(
                self.words,
                self.directory,
                retention_days=retention_days,
                is_required=is_required,
                serves_children=serves_children,
                is_labelling=is_labelling,
            ),
            max_message_length=1000,
            clock=self.clock,
        )
        return self.inbox

    @property
    def notice(self) -> str:
        return self.inbox.rules.gate.notice.text

    def say(self, text: str, **fields: str) -> Receipt:
        return self.inbox.receive_blocking(message(text, **fields))

    def new_answers(self) -> list[str]:
        """What was said since the last look."""
        owed = []
        while due := self.rooms.due(owner=ME):
            for one in due:
                owed.append(one.text)
                self.rooms.mark_sent(one, owner=ME)
        return owed

    def agree(self, *, who: str = "小王") -> None:
        self.say("你好", who=who)
        self.say("同意", who=who)
        self.answer_all()
        self.new_answers()

    def answer_all(self) -> list[str]:
        """Let the model answer whatever waits; the words that it was given."""
        with self.services.database.read() as session:
            waiting = session.scalars(select(Turn.conversation_id).where(Turn.state == TurnState.WAITING)).all()
        seen = []
        for conversation_id in waiting:
            turn = self.rooms.claimed(conversation_id, owner=ME)
            seen.append(turn.text)
            self.rooms.complete(turn, "我在听", owner=ME)
        return seen

    def person(self) -> Person:
        with self.services.database.read() as session:
            return session.scalars(select(Person)).one()

    def stored_texts(self) -> int:
        with self.services.database.read() as session:
            return session.scalar(select(func.count(Message.id)).where(Message.text.is_not(None))) or 0

    def actions(self) -> list[str]:
        with self.services.database.read() as session:
            return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
