"""How often the database is asked about one message: `-s` prints the numbers."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event

from bot.incoming import decisions
from dialogue.core import people
from tests.bot.incoming.steps.talk import ACTIVE, ACUTE, Talk

PLAIN = "我睡不着"


def statements(talk: Talk, text: str) -> list[tuple[str, str]]:
    """Each with its values, in the order in which they were executed."""
    executed: list[tuple[str, str]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
            executed.append((statement, repr(parameters)))

    engine = talk.rooms.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        talk.answered(decisions.decide, text)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return executed


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        ACTIVE,
        ACUTE,
        "你是真人吗",
        "你是真人吗？我最近总是睡不着，心里很乱，不知道怎么办",
        "/help",
        "结束对话",
        "我今年16岁，睡不着",
    ],
)
def test_nothing_is_asked_twice(talk: Talk, text: str) -> None:
    talk.rooms.heard("你好", who=talk.who)
    with (
        talk.rooms.database.begin() as session
    ):  # an alert makes the row of an admin who never wrote, and reads it again
        people.make(session, talk.rooms.keys, channel="telegram", user_id=talk.admin.chat_id, now=talk.clock())
    asked = [one for one in statements(talk, text) if one[0].startswith("SELECT")]
    assert [one for one, count in Counter(asked).items() if count > 1] == []


def test_a_plain_text_costs_three_questions_and_one_write(talk: Talk) -> None:
    talk.rooms.heard("你好", who=talk.who)
    statements(talk, PLAIN)  # which writes the visit and the label of the day
    kinds = [statement.split()[0] for statement, _ in statements(talk, PLAIN)]
    print(f"\na plain text: {Counter(kinds)}")  # noqa: T201 - the figure of decision 92
    assert Counter(kinds) == {"SELECT": 3, "INSERT": 1}
