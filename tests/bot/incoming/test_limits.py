"""Limits protect the model and the others who wait; nobody in danger meets one."""

from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import select

from bot.channels import registry
from bot.incoming.inbox import Inbox
from bot.incoming.limits import Limits
from bot.incoming.receipt import Receipt
from bot.services import BotServices
from dialogue.errors import Misconfigured
from dialogue.messages import Address, InboundMessage
from dialogue.process.settings import DialogueSettings
from dialogue.tables import Message
from tests.bot.inboxes import inbox_beside
from tests.builders import FakeClock, Rooms, message

CRISIS = "我今晚就要去死，药已经买好了"


class Door:
    """An inbox with limits, and its clock."""

    def __init__(self, services: BotServices, **limits: object) -> None:
        self.clock = FakeClock()
        self.rooms = Rooms(services.database, services.keys, clock=self.clock)
        self._inbox: Inbox = inbox_beside(services, limits=Limits(**limits), clock=self.clock)  # type: ignore[arg-type]  # as told

    def hear(self, text: str, *, who: str = "小王") -> Receipt:
        return self._inbox.receive_blocking(message(text, who=who))

    def receive(self, inbound: InboundMessage) -> Receipt:
        return self._inbox.receive_blocking(inbound)

    def said(self) -> list[str]:
        """The kinds of everything that was owed so far."""
        return [delivery.kind.value for delivery in self.rooms.deliveries()]

    def words(self, receipt: Receipt) -> str:
        assert receipt.answered_at_once is not None
        owed = self.rooms.due(owner=uuid4(), limit=100)
        return next(text.text for text in owed if text.id == receipt.answered_at_once)


ME = uuid4()


def test_above_the_limit_of_a_minute_words_are_held_and_answered_together(services: BotServices) -> None:
    door = Door(services, per_minute=3)
    first = [door.hear(f"第{number}句") for number in range(3)]
    assert first[0].conversation_id is not None
    conversation_id = first[0].conversation_id
    answering = door.rooms.claimed(conversation_id, owner=ME)
    held, joined = door.hear("第四句"), door.hear("第五句")
    assert "一起读完" in door.words(held)
    assert (held.is_new_turn, joined.turn_id, joined.answered_at_once) == (True, held.turn_id, None)
    door.rooms.complete(answering, owner=ME)
    assert door.rooms.claim(conversation_id, owner=ME) is None
    assert door.rooms.sweep().conversation_ids == []
    door.clock.tick(33)
    assert door.rooms.sweep().conversation_ids == [conversation_id]
    assert door.rooms.claimed(conversation_id, owner=ME).text == "第四句\n第五句"


def test_words_that_join_a_waiting_turn_are_never_held(services: BotServices) -> None:
    door = Door(services, per_minute=2)
    heard = [door.hear(f"第{number}句") for number in range(15)]
    assert {receipt.turn_id for receipt in heard} == {heard[0].turn_id}
    assert door.said() == []
    assert heard[0].conversation_id is not None
    assert door.rooms.claimed(heard[0].conversation_id, owner=ME).text.count("句") == 15


def test_danger_ends_the_wait_of_what_was_held(services: BotServices) -> None:
    door = Door(services, per_minute=1)
    conversation_id = door.hear("在吗").conversation_id
    assert conversation_id is not None
    door.rooms.complete(door.rooms.claimed(conversation_id, owner=ME), owner=ME)
    door.hear("还在吗")
    assert door.rooms.claim(conversation_id, owner=ME) is None
    door.hear("我最近一直想自杀")
    assert door.rooms.claimed(conversation_id, owner=ME).text == "还在吗\n我最近一直想自杀"


def test_what_no_person_writes_in_a_minute_is_refused_once_with_a_kind_word(services: BotServices) -> None:
    door = Door(services, per_minute=2)
    for number in range(20):
        door.hear(f"第{number}句")
    refused, silent = door.hear("第二十一句"), door.hear("第二十二句")
    assert refused.turn_id is None
    assert "一时读不过来" in door.words(refused)
    assert (silent.turn_id, silent.answered_at_once) == (None, None)
    door.clock.tick(61)
    assert door.hear("缓过来了").turn_id is not None


def test_a_day_has_a_limit_too_and_ends_a_day_after_the_first_words(services: BotServices) -> None:
    door = Door(services, per_day=3)
    for number in range(3):
        door.hear(f"第{number}句")
        door.clock.tick(3600)
    assert "明天再来" in door.words(door.hear("再说一句"))
    door.clock.tick(21 * 3600 + 1)
    assert door.hear("第二天").turn_id is not None


def test_others_are_not_counted_in(services: BotServices) -> None:
    door = Door(services, per_day=1)
    assert [bool(door.hear("在吗", who=who).turn_id) for who in ("小王", "小李", "小王")] == [True, True, False]


def test_commands_and_what_we_answer_ourselves_do_not_count(services: BotServices) -> None:
    door = Door(services, per_day=1)
    for text in ("/help", "你是真人吗", "/reset", "", "长" * 500):
        door.hear(text)
    assert door.hear("终于说了").turn_id is not None
    assert door.hear("/help").command is not None


def test_danger_is_answered_above_every_limit(services: BotServices) -> None:
    door = Door(services, per_day=1)
    door.hear("在吗")
    assert door.hear("还在吗").turn_id is None
    receipt = door.hear(CRISIS)
    assert receipt.risk is not None
    assert receipt.risk.is_alarm
    assert "crisis" in door.said()


def test_whoever_is_in_danger_is_looked_after_above_every_limit(services: BotServices) -> None:
    door = Door(services, per_minute=1)
    door.hear(CRISIS)
    door.hear("在吗")
    before = len(door.said())
    door.hear("我不知道该怎么办")
    assert door.said()[before:] == ["crisis"] * len(door.said()[before:]) != []


def test_a_limit_of_nothing_is_no_limit(services: BotServices) -> None:
    door = Door(services)
    assert all(door.hear(f"第{number}句").turn_id for number in range(30))


# --- A pilot ---------------------------------------------------------------------------------------------------------

GUEST = Address(channel="telegram", chat_id="7")


def from_(user_id: str, text: str, *, channel: str = "telegram") -> InboundMessage:
    return replace(message(text, who=user_id), address=Address(channel=channel, chat_id=f"chat of {user_id}"))


def test_in_a_pilot_only_those_who_were_invited_are_heard(services: BotServices) -> None:
    door = Door(services, invited=frozenset({GUEST}))
    assert door.receive(from_("7", "在吗")).turn_id is not None
    stranger = door.receive(from_("8", "在吗"))
    assert (stranger.turn_id, stranger.conversation_id) == (None, None)
    assert door.receive(from_("7", "在吗", channel="wechat")).turn_id is None, "another channel, another person"


def test_a_stranger_is_told_once_a_day_and_their_words_are_not_kept(services: BotServices) -> None:
    door = Door(services, invited=frozenset({GUEST}))
    first, second = door.receive(from_("8", "在吗")), door.receive(from_("8", "/start"))
    assert first.answered_at_once is not None
    assert second.answered_at_once is None
    with services.database.read() as session:
        assert {row.conversation_id for row in session.scalars(select(Message))} == {None}


def test_a_stranger_in_danger_is_answered(services: BotServices) -> None:
    door = Door(services, invited=frozenset({GUEST}))
    receipt = door.receive(from_("8", CRISIS))
    assert receipt.risk is not None
    assert receipt.risk.is_alarm
    assert door.said() == ["crisis"] * len(door.said()) != []


def test_admins_and_the_operators_own_terminal_are_always_invited() -> None:
    limits = Limits.read(DialogueSettings(allow="wechat:wxid_a", admins="telegram:42"))
    assert limits.invites("telegram", "42")
    assert limits.invites("console", "root")
    assert limits.invites("wechat", "wxid_a")
    assert not limits.invites("telegram", "43")


def test_an_empty_list_invites_everybody_even_with_admins() -> None:
    assert Limits.read(DialogueSettings(admins="telegram:42")).invites("telegram", "43")


@pytest.mark.parametrize("value", ["7", "telegram:@wang", "qq:7"])
def test_a_list_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MINDGLM_ALLOW", value)
    with pytest.raises(Misconfigured, match="MINDGLM_ALLOW"):
        registry.check_accounts(DialogueSettings.read())
