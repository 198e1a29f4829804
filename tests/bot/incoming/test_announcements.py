"""Nobody forgets to announce: what the rows say must be known to others after the commit, whatever was said."""

from uuid import UUID

import pytest
from sqlalchemy import select

from bot.incoming import decisions
from bot.incoming.situation import Button, Edit, NotText, Text, What
from care.disclosure import Answer
from dialogue.states import DeliveryState, TurnState
from dialogue.tables import Delivery, Turn
from tests.bot.incoming.steps.talk import ACTIVE, ACUTE, Talk

Rows = tuple[set[UUID], set[UUID], set[UUID]]

TALKS: tuple[tuple[tuple[What, str], ...], ...] = (
    ((Text(), "我睡不着"), (Text(), "还是睡不着"), (Text(), "结束对话")),
    ((Text(), ACTIVE), (Text(), ACUTE), (Text(), "嗯")),
    ((Text(), "你是真人吗"), (Text(), "/help"), (NotText(), ""), (NotText(), "")),
    ((Text(), "我睡不着"), (Edit("nobody knows"), "我睡不好"), (Text(), "/delete"), (Text(), "确认删除")),
    ((Text(), "投诉：太慢"), (Text(), f"投诉：{ACUTE}"), (Text(), "/export"), (Text(), "/contact 妈妈")),
    ((Text(), "我睡不着"), (Text(), "撤回同意"), (Text(), "长" * 101), (Text(), " ")),
    ((Text(), "我今年16岁，睡不着"), (Text(), "同意，20岁"), (Button(Answer(agrees=True)), "")),
)


def rows(talk: Talk) -> Rows:
    """Texts owed, turns that wait, turns that were discarded."""
    with talk.rooms.database.read() as session:
        return (
            set(session.scalars(select(Delivery.id).where(Delivery.state == DeliveryState.PENDING))),
            set(session.scalars(select(Turn.id).where(Turn.state == TurnState.WAITING))),
            set(session.scalars(select(Turn.id).where(Turn.state == TurnState.DISCARDED))),
        )


def check(talk: Talk, before: Rows) -> None:
    owed, waiting, discarded = (now - then for now, then in zip(rows(talk), before, strict=True))
    with talk.rooms.database.read() as session:
        channels = set(session.scalars(select(Delivery.channel).where(Delivery.id.in_(owed))))
        conversations = set(session.scalars(select(Turn.conversation_id).where(Turn.id.in_(waiting))))
    assert talk.rooms.announced.owed_channels == channels
    assert talk.rooms.announced.rung_conversation_ids >= conversations
    assert talk.rooms.announced.cancelled_turn_ids == discarded


@pytest.mark.parametrize("said", TALKS)
@pytest.mark.parametrize("is_held", [False, True], ids=["alone", "with a human"])
@pytest.mark.parametrize("has_agreed", [True, False], ids=["agreed", "stranger"])
def test_what_was_written_is_announced(
    stranger: Talk, said: tuple[tuple[What, str], ...], *, is_held: bool, has_agreed: bool
) -> None:
    talk = stranger
    if has_agreed:
        talk.agree()
    if is_held:
        talk.taken_over()
    for what, text in said:
        before = rows(talk)
        talk.rooms.announced.clear()
        talk.ask(decisions.decide, text, what=what)
        check(talk, before)
