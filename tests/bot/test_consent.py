"""Nobody's words are kept or answered before they agreed; danger is answered all the same."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select

from bot.consent import gate
from bot.inbox import Inbox
from bot.receipt import Receipt
from bot.room import Room
from care import texts
from care.age import AgeBand
from care.disclosure import Answer
from care.hotlines import directory
from care.scripts import Voice
from dialogue import consent, danger
from dialogue.states import ClosedBy, TurnState
from dialogue.tables import AuditEntry, Conversation, Message, Person, Turn
from tests.builders import FakeClock, Rooms, message

ME = UUID(int=3)
ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"


class Practice:
    """An inbox whose clock the test moves, and what it said."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.clock = FakeClock()
        self.rooms = Rooms(room.database, room.keys, clock=self.clock)
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
            database=self.room.database,
            keys=self.room.keys,
            texts=self.words,
            doorbell=self.room.doorbell,
            signals=self.room.signals,
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
        return self.inbox.gate.notice.text

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
        with self.room.database.read() as session:
            waiting = session.scalars(select(Turn.conversation_id).where(Turn.state == TurnState.WAITING)).all()
        seen = []
        for conversation_id in waiting:
            turn = self.rooms.claimed(conversation_id, owner=ME)
            seen.append(turn.text)
            self.rooms.complete(turn, "我在听", owner=ME)
        return seen

    def person(self) -> Person:
        with self.room.database.read() as session:
            return session.scalars(select(Person)).one()

    def stored_texts(self) -> int:
        with self.room.database.read() as session:
            return session.scalar(select(func.count(Message.id)).where(Message.text.is_not(None))) or 0

    def actions(self) -> list[str]:
        with self.room.database.read() as session:
            return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.fixture
def practice(room: Room) -> Practice:
    return Practice(room)


def test_the_first_words_are_answered_by_the_notice_and_not_by_the_model(practice: Practice) -> None:
    receipt = practice.say("我睡不着")
    assert receipt.turn_id is None
    assert practice.new_answers() == [practice.notice]


def test_what_was_said_before_is_answered_after_the_consent_in_order(practice: Practice) -> None:
    for text in ("我睡不着", "白天也没有精神", "怎么办"):
        practice.say(text)
        practice.clock.tick(1)
    assert practice.new_answers() == [practice.notice]
    receipt = practice.say("同意")
    assert receipt.turn_id is not None
    assert practice.new_answers() == [practice.words.say("disclosure_agreed_held")]
    assert practice.answer_all() == ["我睡不着\n白天也没有精神\n怎么办"]
    practice.say("谢谢你")
    assert practice.answer_all() == ["谢谢你"]


def test_the_version_and_the_time_of_a_consent_are_kept(practice: Practice) -> None:
    practice.agree()
    person = practice.person()
    assert person.consent_version == practice.inbox.gate.notice.version
    assert person.consented_at == practice.clock()
    assert person.age_band is AgeBand.ADULT
    assert practice.actions() == ["consent"]


def test_words_that_wait_are_sealed_and_go_after_a_day(practice: Practice, tmp_path: Path) -> None:
    practice.say("谁也不许看见的话")
    assert practice.stored_texts() == 1
    assert all("谁也不许看见的话".encode() not in file.read_bytes() for file in tmp_path.glob("bot.db*"))
    practice.clock.tick(consent.HOLD.total_seconds() - 1)
    practice.rooms.sweep()
    assert practice.stored_texts() == 1
    practice.clock.tick(1)
    practice.rooms.sweep()
    assert practice.stored_texts() == 0
    practice.new_answers()
    assert practice.say("同意").turn_id is None
    assert practice.new_answers() == [practice.words.say("disclosure_agreed")]


def test_a_yes_that_is_none_is_answered_at_once_and_is_no_consent(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.new_answers()
    assert practice.say("好的").turn_id is None
    (question,) = practice.new_answers()
    assert "“同意”" in question
    assert practice.person().consent_version is None


def test_who_goes_on_writing_is_not_asked_after_every_sentence(practice: Practice) -> None:
    practice.say("我睡不着，已经三天了")
    practice.new_answers()
    practice.say("白天也没有一点精神")
    assert practice.new_answers() == []
    practice.clock.tick(61)
    practice.say("我说的话有人在看吗，还是没有")
    assert len(practice.new_answers()) == 1


def test_a_consent_to_words_that_they_never_saw_is_none(practice: Practice) -> None:
    practice.say("同意")
    assert practice.new_answers() == [practice.notice]
    assert practice.person().consent_version is None


def test_a_start_shows_the_notice_again(practice: Practice) -> None:
    practice.say("/start")
    practice.say("/start")
    assert practice.new_answers() == [practice.notice, practice.notice]
    practice.say("/help")
    assert "/reset" in practice.new_answers()[0]


def test_declining_brings_the_hotlines_and_a_goodbye_and_leaves_nothing(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.new_answers()
    practice.say("不同意")
    (goodbye,) = practice.new_answers()
    assert "12356" in goodbye
    assert practice.stored_texts() == 0
    assert practice.say("你还在吗，我想和你说说话").turn_id is None
    assert practice.stored_texts() == 0
    assert "改变主意" in practice.new_answers()[0]
    practice.say("同意")
    assert practice.say("我睡不着").turn_id is not None


@pytest.mark.parametrize("before", [[], ["不同意"], ["我12岁"], ["同意", "/withdraw"]])
def test_danger_is_answered_without_consent_and_without_the_model(practice: Practice, before: list[str]) -> None:
    practice.say("你好")
    for text in before:
        practice.say(text)
    practice.answer_all()
    practice.new_answers()
    receipt = practice.say(ACUTE)
    assert receipt.turn_id is None
    (words,) = practice.new_answers()
    assert "120" in words
    assert danger.ALARM in practice.actions()
    practice.say("我不知道该怎么办才好呢")
    (next_words,) = practice.new_answers()
    assert next_words != words
    assert practice.notice not in next_words


def test_active_danger_is_answered_at_once_and_by_the_model_after_the_consent(practice: Practice) -> None:
    practice.say(ACTIVE)
    (words,) = practice.new_answers()
    assert "12356" in words
    practice.say("嗯")
    assert practice.new_answers() == [practice.notice]  # nothing was asked before: danger comes first
    practice.say("同意")
    assert practice.answer_all() == [f"{ACTIVE}\n嗯"]


def test_in_acute_danger_a_consent_does_not_bring_the_model(practice: Practice) -> None:
    practice.say("/start")
    practice.say(ACUTE)
    practice.new_answers()
    assert practice.say("同意").turn_id is None
    thanks, script = practice.new_answers()
    assert thanks == practice.words.say("disclosure_agreed")
    assert script
    assert practice.stored_texts() == 1


def test_who_answers_here_is_told_before_the_question(practice: Practice) -> None:
    practice.say("你是真人吗")
    truth, question = practice.new_answers()
    assert "不是真人" in truth
    assert question == practice.notice


def test_a_changed_notice_asks_again_and_loses_nothing(practice: Practice) -> None:
    practice.agree()
    practice.with_gate(retention_days=60)
    assert practice.say("我又睡不着了").turn_id is None
    (question,) = practice.new_answers()
    assert "更新" in question
    assert practice.notice in question
    assert practice.say("同意").turn_id is not None
    assert practice.answer_all() == ["我又睡不着了"]


def test_an_edit_of_words_that_wait_is_heard_too(practice: Practice) -> None:
    practice.say("我睡不", external_id="1")
    edited = message("我睡不着", external_id="1:edit")
    practice.inbox._revise(edited, "1")
    practice.say("同意")
    assert practice.answer_all() == ["我睡不\n我睡不着"]


@pytest.mark.parametrize(
    ("answer", "band"),
    [
        (Answer(agrees=True, band=AgeBand.ADULT), AgeBand.ADULT),
        (Answer(agrees=True, band=AgeBand.MINOR), AgeBand.MINOR),
    ],
)
async def test_a_button_agrees_once_however_often_it_is_pressed(
    practice: Practice, answer: Answer, band: AgeBand
) -> None:
    practice.say("我睡不着")
    practice.new_answers()
    receipt = await practice.inbox.choose(message("", external_id="p1"), answer)
    assert receipt.turn_id is not None
    again = await practice.inbox.choose(message("", external_id="p2"), answer)
    assert again.is_repeat
    assert practice.person().age_band is band
    assert practice.answer_all() == ["我睡不着"]


def test_under_14_there_are_resources_and_nothing_is_kept(practice: Practice) -> None:
    practice.say("我今年12岁，在学校没有人理我")
    practice.new_answers()
    practice.say("同意")
    (words,) = practice.new_answers()
    assert "12355" in words
    assert practice.stored_texts() == 0
    assert practice.say("可是我想和你说话，可以吗").turn_id is None
    assert practice.stored_texts() == 0
    practice.say("同意 15")
    assert practice.say("我睡不着").turn_id is not None


def test_an_age_told_later_in_the_talk_protects_from_then_on(practice: Practice) -> None:
    practice.agree()
    receipt = practice.say("我今年13岁，没有人理我")
    assert receipt.turn_id is None
    assert "12355" in practice.new_answers()[0]
    assert practice.person().age_band is AgeBand.CHILD


def test_an_age_given_by_mistake_is_mended_by_the_same_answer(practice: Practice) -> None:
    practice.agree()
    assert practice.say("同意 16").turn_id is None
    assert practice.words.say("disclosure_minor") in practice.new_answers()
    assert practice.person().age_band is AgeBand.MINOR
    practice.say("同意 20")
    assert practice.person().age_band is AgeBand.ADULT
    assert practice.say("同意").turn_id is not None  # now a word like any other


def test_a_guardians_consent_lets_a_child_in_under_the_rules_for_the_young(practice: Practice) -> None:
    practice.with_gate(serves_children=True)
    practice.say("我睡不着")
    practice.say("同意 12")
    assert practice.words.say("disclosure_minor") in practice.new_answers()
    assert practice.answer_all() == ["我睡不着"]


def test_the_young_are_reminded_and_rest_after_an_hour_but_not_in_danger(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.say("同意 16")
    practice.answer_all()
    practice.new_answers()
    told: dict[int, list[str]] = {}
    for minute in range(0, 70, 5):
        practice.say(f"第{minute}分钟")
        practice.answer_all()
        told[minute] = [answer for answer in practice.new_answers() if answer != "我在听"]
        practice.clock.tick(300)
    assert "休息" not in str(told[25])
    assert "歇一歇" in str(told[30])
    assert "休息 15 分钟" in str(told[60])
    assert practice.say(ACTIVE).turn_id is not None


def test_the_young_begin_anew_after_a_pause_and_grown_people_go_on(practice: Practice) -> None:
    for who, answer in (("小王", "同意 16"), ("小李", "同意")):
        practice.say("你好", who=who)
        practice.say(answer, who=who)
        practice.say("我睡不着", who=who)
    practice.answer_all()
    practice.clock.tick(3600)
    young, grown = practice.say("我又来了", who="小王"), practice.say("我又来了", who="小李")
    with practice.room.database.read() as session:
        closed = session.scalars(select(Conversation.closed_by).where(Conversation.closed_at.is_not(None))).all()
    assert closed == [ClosedBy.PAUSE]
    for receipt, count in ((young, 0), (grown, 1)):
        assert receipt.conversation_id is not None
        assert len(practice.rooms.claimed(receipt.conversation_id, owner=ME).history) == count


def test_two_hours_of_talk_and_a_return_on_another_day_bring_a_reminder(practice: Practice) -> None:
    practice.agree()
    reminders = []
    for _ in range(26):
        practice.say("我在想以前的事")
        practice.answer_all()
        reminders += [answer for answer in practice.new_answers() if answer != "我在听"]
        practice.clock.tick(300)
    assert reminders == [practice.words.say("disclosure_periodic")]
    practice.clock.tick(13 * 3600)
    practice.say("我又来了")
    assert practice.new_answers() == [practice.words.say("disclosure_return")]


def test_the_first_reply_of_a_day_carries_the_label(practice: Practice) -> None:
    practice.with_gate(is_labelling=True)
    practice.agree()
    label = practice.words.say("disclosure_label")
    days = []
    for _ in range(2):
        for _ in range(2):
            practice.say("我睡不着")
            practice.answer_all()
        days.append([label in answer for answer in practice.new_answers()])
        practice.clock.tick(86400)
    assert days == [[False, False], [False, True, False]]  # the notice said it; the next day begins with a reminder


def test_a_label_that_was_never_sent_comes_with_the_next_reply(practice: Practice) -> None:
    practice.with_gate(is_labelling=True, is_required=False)
    practice.say("我睡不着")
    practice.say("/reset")
    practice.say("我睡不着")
    practice.answer_all()
    assert practice.words.say("disclosure_label") in practice.new_answers()[-1]


def test_a_withdrawal_ends_everything_and_a_new_consent_begins_anew(practice: Practice) -> None:
    practice.agree()
    practice.say("同意用于改进")
    waiting = practice.say("我睡不着")
    practice.new_answers()
    receipt = practice.say("撤回同意")
    assert receipt.cancelled_turn_ids == [waiting.turn_id]
    assert "/delete" in practice.new_answers()[0]
    person = practice.person()
    assert (person.consent_version, person.training_consented_at) == (None, None)
    assert practice.say("你还在吗，我有点想你了").turn_id is None
    practice.say("同意")
    assert practice.say("我又来了").conversation_id != waiting.conversation_id
    assert practice.actions()[-2:] == ["consent_withdrawn", "consent"]


def test_without_a_gate_a_withdrawal_counts_all_the_same(practice: Practice) -> None:
    practice.with_gate(is_required=False)
    assert practice.say("我睡不着").turn_id is not None
    practice.say("/withdraw")
    assert practice.say("你还在吗，我有点想你了").turn_id is None
    practice.say("同意")
    assert practice.say("我又来了").turn_id is not None


@pytest.mark.parametrize(("yes", "no"), [("同意用于改进", "不同意用于改进"), ("/share yes", "/share no")])
def test_the_choice_about_training_is_off_until_it_is_made_and_can_be_taken_back(
    practice: Practice, yes: str, no: str
) -> None:
    practice.say("/share yes")
    assert practice.new_answers() == [practice.notice]
    practice.agree()
    assert practice.person().training_consented_at is None
    practice.say("/share")
    assert "现在是：不同意" in practice.new_answers()[0]
    practice.say(yes)
    assert practice.person().training_consented_at == practice.clock()
    practice.say("/share")
    assert "现在是：同意" in practice.new_answers()[1]
    practice.say(no)
    assert practice.person().training_consented_at is None


def test_what_is_no_text_is_answered_by_the_notice(practice: Practice) -> None:
    practice.inbox._excuse(message(""))
    assert practice.new_answers() == [practice.notice]


def test_a_person_who_agreed_costs_no_query_of_its_own(practice: Practice) -> None:
    practice.agree()
    practice.say("我睡不着")
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(practice.room.database.engine, "before_cursor_execute", note)
    practice.say("我还是睡不着")
    read = [statement.rsplit("FROM ", 1)[1].split()[0] for statement in statements if statement.startswith("SELECT")]
    assert read == ["people", "messages", "conversations", "conversations", "turns"]
    assert [statement.split()[2] for statement in statements if statement.startswith("INSERT")] == ["messages"]
    assert not [statement for statement in statements if statement.startswith("UPDATE")]
