"""A made-up week in a small practice, for tests and pictures: nobody in it is real."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from dialogue.core.danger_course import ALARM
from dialogue.states import CaseKind, ClosedBy, DeliveryKind, DeliveryState, TurnState
from dialogue.storage.database import Database
from dialogue.storage.ids import first_id_at
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import AUDIT, CASES, COMPLAINTS, CONVERSATIONS, DELIVERIES, MESSAGES, PEOPLE, TURNS
from dialogue.telemetry.heartbeat import Identity, beat

TALK = (
    ("最近总是睡不着，白天上课没精神。", "听起来这段时间你很辛苦。睡不着的时候，脑子里通常在想些什么呢？"),
    (
        "就是想考试，怕考不好让爸妈失望。",
        "你很在意他们的期待，也给了自己不小的压力。还有别的事让你放不下吗？",
    ),
    ("和室友也处不好，觉得没人懂我。", "这种不被理解的感觉很孤单。你愿意说说最近和室友之间发生了什么吗？"),
    ("昨天他们出去吃饭没叫我。", "被落下的那一刻，心里一定不好受。你当时是怎么想的？"),
    ("谢谢你听我说这些，好一点了。", "你愿意说出来，这本身就很不容易。今晚可以试试早一点放下手机，做几次慢慢的呼吸。"),
)
CRISIS = "如果你现在有危险，请马上拨打 120 或 110；全国心理援助热线 12356，24 小时都有人接听。"


@dataclass
class Week:
    """Writes rows as they would have come to be; the same every time."""

    session: Session
    keys: MasterKeys
    now: datetime
    chance: random.Random
    rows: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)

    def fill(self, count: int) -> list[UUID]:
        """Conversations over the last seven days, the newest last; returns their ids."""
        ids = [self._conversation(number, count) for number in range(count)]
        for table, rows in self.rows.items():
            self.session.execute(insert(table), rows)
        return ids

    def _id(self, moment: datetime) -> UUID:
        return UUID(int=first_id_at(moment).int | 7 << 76 | 2 << 62 | self.chance.getrandbits(62))

    def _conversation(self, number: int, count: int) -> UUID:
        opened_at = (
            self.now - timedelta(days=7) * (1 - (number + 1) / count) - timedelta(minutes=self.chance.randint(9, 90))
        )
        turns = self.chance.randint(2, len(TALK))
        tier = 3 if number == count - 3 else 2 if number % 11 == 5 else 1 if number % 5 == 2 else 0
        is_closed = number < count - 6 and number % 4 != 0
        channel = "wechat" if number % 3 == 1 else "telegram"
        place = {"channel": channel, "chat_id": str(700_000_000 + 7919 * number)}
        person_id, conversation_id = self._id(opened_at), self._id(opened_at)
        wrapped = self.keys.new_data_key(person_id)
        key = self.keys.person_key(wrapped, person_id)
        self._add(
            PEOPLE, id=person_id, channel=channel, user_id=place["chat_id"], data_key=wrapped, created_at=opened_at
        )
        self._add(
            CONVERSATIONS,
            id=conversation_id,
            person_id=person_id,
            epoch=1,
            tier=tier,
            opened_at=opened_at,
            closed_at=opened_at + timedelta(hours=1) if is_closed else None,
            closed_by=ClosedBy.PERSON if is_closed else None,
            **place,
        )
        for seq in range(1, turns + 1):
            owner = {"person_id": person_id, "conversation_id": conversation_id, **place}
            self._turn(owner, key, seq, opened_at + timedelta(minutes=3 * seq), number)
        if number % 17 == 4:
            self._complaint(person_id, conversation_id, key, opened_at + timedelta(minutes=20))
        if tier > 1:
            owner = {"person_id": person_id, "conversation_id": conversation_id, **place}
            self._alarm(owner, key, tier, opened_at + timedelta(minutes=7))
        return conversation_id

    def _complaint(self, person_id: UUID, conversation_id: UUID, key: PersonKey, at: datetime) -> None:
        complaint_id = self._id(at)
        self._add(
            COMPLAINTS,
            id=complaint_id,
            person_id=person_id,
            conversation_id=conversation_id,
            text=key.seal("回复来得太慢，我等了很久。", row=complaint_id, column="complaints.text"),
            made_at=at,
        )

    def _turn(self, owner: dict[str, Any], key: PersonKey, seq: int, at: datetime, number: int) -> None:
        turn_id, message_id, delivery_id = self._id(at), self._id(at), self._id(at + timedelta(seconds=9))
        words, reply = TALK[seq - 1]
        has_failed = (number * 7 + seq) % 61 == 0
        first = at + timedelta(seconds=0.4 + self.chance.random() ** 3 * 3)
        finished_at = first + timedelta(seconds=3 + self.chance.random() * 9)
        self._add(
            TURNS,
            id=turn_id,
            conversation_id=owner["conversation_id"],
            seq=seq,
            state=TurnState.FAILED if has_failed else TurnState.ANSWERED,
            error="engine" if has_failed else None,
            attempt=3 if has_failed else 1,
            rung_at=at,
            ring_count=0,
            created_at=at,
            claimed_at=at,
            first_token_at=None if has_failed else first,
            finished_at=finished_at,
            reply=None if has_failed else key.seal(reply, row=turn_id, column="turns.reply"),
            reply_tokens=None if has_failed else len(reply),
            prompt_tokens=120 * seq,
            model_version="ZhangCNN/MindGLM",
        )
        self._add(
            MESSAGES,
            id=message_id,
            person_id=owner["person_id"],
            conversation_id=owner["conversation_id"],
            turn_id=turn_id,
            channel=owner["channel"],
            account="bot",
            external_id=message_id.hex,
            text=key.seal(words, row=message_id, column="messages.text"),
            sent_at=at,
            received_at=at,
        )
        is_lost = (number * 5 + seq) % 53 == 0
        self._delivery(
            owner,
            key,
            delivery_id,
            reply,
            kind=DeliveryKind.REPLY,
            turn_id=turn_id,
            state=DeliveryState.FAILED if is_lost else DeliveryState.SENT,
            error="unknown" if is_lost else None,
            created_at=finished_at,
        )

    def _alarm(self, owner: dict[str, Any], key: PersonKey, tier: int, at: datetime) -> None:
        whom = {name: owner[name] for name in ("person_id", "conversation_id")}
        self._add(AUDIT, id=self._id(at), at=at, actor="screening", action=ALARM, reason=f"tier {tier}", **whom)
        self._add(
            CASES,
            id=self._id(at),
            kind=CaseKind.DANGER,
            level=tier,
            subject=f"person:{owner['person_id'].hex}",
            opened_at=at,
            raised_at=at,
            raise_count=1,
            call_count=0,
            waits_since=at,
            **whom,
        )
        columns = {"kind": DeliveryKind.CRISIS, "state": DeliveryState.SENT, "error": None, "turn_id": None}
        self._delivery(owner, key, self._id(at), CRISIS, created_at=at, **columns)

    def _delivery(self, owner: dict[str, Any], key: PersonKey, delivery_id: UUID, text: str, **columns: Any) -> None:
        at, state = columns["created_at"], columns["state"]
        self._add(
            DELIVERIES,
            id=delivery_id,
            part=0,
            attempt=1,
            text=key.seal(text, row=delivery_id, column="deliveries.text"),
            next_attempt_at=at,
            sent_at=at + timedelta(seconds=1) if state is DeliveryState.SENT else None,
            **owner,
            **columns,
        )

    def _add(self, table: Any, **values: Any) -> None:
        self.rows.setdefault(table, []).append(values)


def fill(database: Database, keys: MasterKeys, *, now: datetime, count: int = 60) -> list[UUID]:
    """The week's conversations, oldest first, and processes that are there."""
    with database.begin() as session:
        ids = Week(session, keys, now, random.Random(7)).fill(count)
        figures: dict[str, dict[str, str | int | float | bool | None]] = {
            "worker": {
                "model": "ZhangCNN/MindGLM",
                "capacity": 16,
                "answering": 5,
                "batch": 5,
                "tokens_per_second": 412.0,
            },
            "telegram": {"last_heard_seconds": 4.2, "pending_updates": 0},
            "wechat": {"last_heard_seconds": 11.0, "pending_updates": None},
        }
        for kind, told in figures.items():
            me = Identity(
                kind=kind, name=kind, host="clinic-1", pid=100, version="0.1.0", started_at=now - timedelta(days=2)
            )
            beat(session, me, told, now=now)
    return ids
