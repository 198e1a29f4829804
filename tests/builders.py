"""Short ways to the rows that tests are about; every default can be given."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select

from dialogue.core import arrival, claiming, conversations, intake, people, sending, turns
from dialogue.core.intake import Received
from dialogue.core.turn_claims import claim_open
from dialogue.core.turns import ClaimedTurn, FinishedReply
from dialogue.messages import Address, InboundMessage, OwedText
from dialogue.states import OPEN_DELIVERY_STATES, OPEN_TURN_STATES, ClosedBy
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import Conversation, Delivery, Turn
from dialogue.upkeep.lost_rings import Swept, sweep
from tests.announcements import Announcements

CHANNEL = "test"
APOLOGY = "抱歉"


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def message(text: str = "你好", *, who: str = "小王", external_id: str | None = None) -> InboundMessage:
    return InboundMessage(
        address=Address(channel=CHANNEL, chat_id=who),
        account="bot",
        user_id=who,
        external_id=external_id or uuid4().hex,
        text=text,
        sent_at=datetime(2026, 11, 21, tzinfo=UTC),
        is_private=True,
    )


def reply(text: str = "我在听") -> FinishedReply:
    return FinishedReply(
        text=text,
        prompt_tokens=3,
        reply_tokens=2,
        first_token_at=datetime(2026, 11, 21, tzinfo=UTC),
        model_version="model",
        prompt_version="prompt",
    )


def is_quiet(database: Database) -> bool:
    """Nothing waits, is generated, or is owed."""
    with database.read() as session:
        waiting = select(func.count(Turn.id)).where(Turn.state.in_(OPEN_TURN_STATES))
        owed = select(func.count(Delivery.id)).where(Delivery.state.in_(OPEN_DELIVERY_STATES))
        return not session.scalar(waiting) and not session.scalar(owed)


@dataclass
class Rooms:
    """The domain's use cases on one database, each in a transaction of its own."""

    database: Database
    keys: MasterKeys = field(default_factory=lambda: MasterKeys.parse(new_secret()))
    clock: FakeClock = field(default_factory=FakeClock)
    lease_seconds: float = 20
    announced: Announcements = field(default_factory=Announcements)

    def __post_init__(self) -> None:
        self.database = self.database.announcing(self.announced)

    def receive(self, inbound: InboundMessage | None = None) -> Received | None:
        """None for a repeat."""
        inbound = inbound or message()
        with self.database.begin() as session:
            person = people.locked(
                session, self.keys, channel=inbound.address.channel, user_id=inbound.user_id, now=self.clock()
            )
            if arrival.look(session, person, inbound, now=self.clock()).is_repeat:
                return None
            conversation_id = conversations.open_for(session, person, inbound.address, now=self.clock())
            return intake.append_to_turn(session, person, inbound, conversation_id, text=inbound.text, now=self.clock())

    def heard(self, text: str = "你好", *, who: str = "小王") -> Received:
        received = self.receive(message(text, who=who))
        assert received is not None
        return received

    def claim(
        self, conversation_id: UUID, *, owner: UUID | None = None, max_turns: int = 12, max_attempts: int = 9
    ) -> ClaimedTurn | None:
        with self.database.begin() as session:
            claimed = claim_open(
                session,
                self.keys,
                owner=owner or uuid4(),
                lease_seconds=self.lease_seconds,
                limit=1,
                max_attempts=max_attempts,
                max_turns=max_turns,
                now=self.clock(),
                conversation_id=conversation_id,
            )
            return claimed[0] if claimed else None

    def claimed(self, conversation_id: UUID, *, owner: UUID) -> ClaimedTurn:
        turn = self.claim(conversation_id, owner=owner)
        assert turn is not None
        return turn

    def complete(self, turn: ClaimedTurn, text: str = "我在听", *, owner: UUID) -> UUID | None:
        with self.database.begin() as session:
            return turns.complete(session, turn, reply(text), owner=owner, now=self.clock())

    def answered(self, text: str, answer: str, *, who: str = "小王") -> Received:
        """A whole turn, from the person's words to the delivery."""
        received, owner = self.heard(text, who=who), uuid4()
        assert self.complete(self.claimed(received.conversation_id, owner=owner), answer, owner=owner) is not None
        return received

    def reset(self, conversation_id: UUID) -> list[UUID]:
        with self.database.begin() as session:
            return conversations.reset(session, conversation_id, by=ClosedBy.PERSON, now=self.clock())

    def sweep(self, *, max_attempts: int = 3) -> Swept:
        with self.database.begin() as session:
            return sweep(session, self.keys, apology=APOLOGY, max_attempts=max_attempts, now=self.clock())

    def claim_open(self, *, owner: UUID, limit: int = 50, max_attempts: int = 3) -> list[ClaimedTurn]:
        with self.database.begin() as session:
            return claim_open(
                session,
                self.keys,
                owner=owner,
                lease_seconds=self.lease_seconds,
                limit=limit,
                max_attempts=max_attempts,
                max_turns=12,
                now=self.clock(),
            )

    def due(self, *, owner: UUID, limit: int = 50, chat_id: str | None = None) -> list[OwedText]:
        with self.database.begin() as session:
            return claiming.claim_due(
                session,
                self.keys,
                CHANNEL,
                owner=owner,
                lease_seconds=60,
                limit=limit,
                now=self.clock(),
                chat_id=chat_id,
            )

    def mark_sent(self, owed: OwedText, *, owner: UUID) -> None:
        with self.database.begin() as session:
            sending.mark_sent(session, owed.id, owner=owner, platform_message_id=None, now=self.clock())

    def turn(self, turn_id: UUID) -> Turn:
        with self.database.read() as session:
            return session.get_one(Turn, turn_id)

    def conversation(self, conversation_id: UUID) -> Conversation:
        with self.database.read() as session:
            return session.get_one(Conversation, conversation_id)

    def deliveries(self) -> list[Delivery]:
        with self.database.read() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))
