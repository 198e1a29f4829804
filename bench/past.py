"""Answered turns of the past on either database, with what was heard and sent; their texts cannot be decrypted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from dialogue.states import ClosedBy, DeliveryKind, DeliveryState, TurnState
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database
from dialogue.storage.ids import new_id
from dialogue.tables import CONVERSATIONS, DELIVERIES, MESSAGES, PEOPLE, TURNS

_TURNS_EACH = 50
_AGE = timedelta(days=1)
_SEALED = b"\0" * 200


def store(database: Database, *, channel: str, turns: int) -> None:
    """Insert about that many turns, fifty in a conversation that has ended."""
    for number in range(turns // _TURNS_EACH):
        with database.begin(is_hasty=True) as session:
            _store_conversation(session, channel, f"past-{number}")


def _store_conversation(session: Session, channel: str, who: str) -> None:
    at = utc_now() - _AGE
    person_id, conversation_id = new_id(), new_id()
    place = {"channel": channel, "chat_id": who}
    session.execute(insert(PEOPLE), {"id": person_id, "channel": channel, "user_id": who, "created_at": at})
    ended = {"epoch": 1, "tier": 0, "opened_at": at, "closed_at": at, "closed_by": ClosedBy.PERSON}
    session.execute(insert(CONVERSATIONS), {"id": conversation_id, "person_id": person_id, **place, **ended})
    turn_ids = [new_id() for _ in range(_TURNS_EACH)]
    of_person = {"person_id": person_id, "conversation_id": conversation_id, "channel": channel, "text": _SEALED}
    session.execute(insert(TURNS), _turns(turn_ids, {"conversation_id": conversation_id}, at))
    session.execute(insert(MESSAGES), _messages(turn_ids, {**of_person, "account": "past"}, at))
    session.execute(insert(DELIVERIES), _deliveries(turn_ids, {**of_person, "chat_id": who}, at))


def _turns(turn_ids: Sequence[UUID], shared: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    answered = {"state": TurnState.ANSWERED, "attempt": 1, "rung_at": at, "ring_count": 0, "created_at": at}
    return [
        {"id": turn_id, "seq": seq, "reply": _SEALED, "finished_at": at, **answered, **shared}
        for seq, turn_id in enumerate(turn_ids, start=1)
    ]


def _messages(turn_ids: Sequence[UUID], shared: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    heard = {"sent_at": at, "received_at": at, **shared}
    return [{"id": new_id(), "turn_id": turn_id, "external_id": turn_id.hex, **heard} for turn_id in turn_ids]


def _deliveries(turn_ids: Sequence[UUID], shared: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    sent = {"kind": DeliveryKind.REPLY, "state": DeliveryState.SENT, "part": 0, "attempt": 1, "sent_at": at}
    times = {"next_attempt_at": at, "created_at": at}
    return [{"id": new_id(), "turn_id": turn_id, **sent, **times, **shared} for turn_id in turn_ids]
