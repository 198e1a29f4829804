import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from bot.channels.terminal import CHANNEL as CONSOLE
from bot.channels.terminal.console import ConsoleFiles, ConsoleSender
from bot.incoming.receipt import Receipt
from bot.outgoing.courier import Courier, TryLater, Undeliverable
from bot.outgoing.late_texts import MAX_EXPORTS, MAX_FILE_BYTES, LateTextSender
from bot.services import BotServices
from dialogue.core import people, sending
from dialogue.core.commands import Command
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import Address, InboundMessage, OwedText
from dialogue.rights import complaints, erasure
from dialogue.rights import emergency_contacts as contacts
from dialogue.rights.export import File
from dialogue.states import ClosedBy, DeliveryKind, DeliveryState
from dialogue.storage.clock import utc_now
from dialogue.tables import DELIVERIES, PEOPLE, Complaint, Person
from tests.bot.outgoing.platforms import TakesAll
from tests.builders import CHANNEL, Rooms, message
from tests.patience import until

SECRET = "我的秘密是一只蓝色的鲸鱼"


async def say(services: BotServices, text: str, **fields: Any) -> Receipt:
    return await services.inbox.receive(message(text, **fields))


async def delivered(
    services: BotServices, *, has_files: bool = True, part_length: int = 10_000, max_file_bytes: int = MAX_FILE_BYTES
) -> TakesAll:
    """Everything that is owed, sent."""
    platform = TakesAll()

    def cut(text: str) -> list[str]:
        return [text[start : start + part_length] for start in range(0, len(text), part_length)] or [text]

    sender = LateTextSender(
        platform,
        services.pen,
        send_files=platform.send_files if has_files else None,
        split=cut,
        max_file_bytes=max_file_bytes,
    )
    courier = Courier(database=services.database, keys=services.keys, sender=sender, split=cut)
    while await courier.deliver_due():
        pass
    return platform


def person(services: BotServices, who: str = "小王") -> Person | None:
    with services.database.read() as session:
        return session.scalar(select(Person).where(Person.user_id == who))


@pytest.mark.parametrize(
    ("said", "command", "words"),
    [
        ("/help", Command.HELP, "12356"),
        ("使用帮助", Command.HELP, "120"),
        ("/privacy", Command.PRIVACY, "30 天"),
        ("删除我的数据", Command.DELETE, "确认删除"),
        ("确认删除", Command.CONFIRM_DELETE, "删除我的数据"),
        ("投诉", Command.COMPLAIN, "投诉："),
        ("/contact", Command.CONTACT, "自愿"),
    ],
)
async def test_each_is_explained_and_nothing_happens_yet(
    services: BotServices, said: str, command: Command, words: str
) -> None:
    receipt = await say(services, said)
    assert receipt.command is command
    (answer,) = (await delivered(services)).sent
    assert words in answer
    assert "{" not in answer


async def test_an_export_holds_what_was_said_and_says_what_a_model_wrote(services: BotServices) -> None:
    rooms = Rooms(services.database, services.keys)
    rooms.answered(SECRET, "我在听你说")
    await say(services, "紧急联系人：妈妈 13800000000")
    await say(services, "导出我的数据")
    platform = await delivered(services)
    text, document = (file.content.decode() for file in platform.files)
    assert f"我：{SECRET}" in text
    assert "支持者（AI生成）：我在听你说" in text
    data = json.loads(document)
    assert data["person"]["emergency_contact"] == "妈妈 13800000000"
    lines = data["conversations"][0]["lines"]
    assert [(line["by"], line["ai_generated"], line["text"]) for line in lines[:2]] == [
        ("person", False, SECRET),
        ("model", True, "我在听你说"),
    ]
    assert "人工智能" in data["notice"]
    assert "人工智能" in text
    assert "人工智能" in platform.sent[-1]


@pytest.mark.parametrize(
    ("said", "confirmation", "in_the_export", "in_the_farewell"),
    [
        ("我這幾天都睡不著覺", "確認刪除", "匯出", "刪除"),
        ("I have not slept well for days", "confirm delete", "conversation", "deleted"),
        ("我这几天都睡不着觉", "确认删除", "导出", "删除"),
    ],
)
@pytest.mark.parametrize("has_files", [True, False])
async def test_a_farewell_and_an_export_are_in_the_persons_language_and_script(
    services: BotServices, *, said: str, confirmation: str, in_the_export: str, in_the_farewell: str, has_files: bool
) -> None:
    for text in (said, "/export"):
        await say(services, text)
    platform = await delivered(services, has_files=has_files)
    read = "".join([*platform.sent, *(file.content.decode() for file in platform.files)])
    assert in_the_export in read.lower()
    for text in ("/delete", confirmation):
        await say(services, text)
    (farewell,) = (await delivered(services, has_files=has_files)).sent[-1:]
    assert in_the_farewell in farewell.lower()


async def test_an_export_is_never_stored_where_files_can_be_sent(services: BotServices) -> None:
    await say(services, SECRET)
    await say(services, "/export")
    await delivered(services)
    with services.database.read() as session:
        export = session.execute(select(DELIVERIES).where(DELIVERIES.c.kind == DeliveryKind.EXPORT)).one()
    assert (export.text, export.state) == (None, DeliveryState.SENT)


async def test_where_no_files_can_be_sent_it_comes_as_text_in_parts(services: BotServices) -> None:
    await say(services, SECRET)
    await say(services, "/export")
    platform = await delivered(services, has_files=False, part_length=40)
    assert len(platform.sent) > 2
    assert SECRET in "".join(platform.sent)
    assert max(map(len, platform.sent)) <= 40


async def test_what_is_too_much_for_one_message_comes_in_parts_that_can_be_read_alone(services: BotServices) -> None:
    said = [f"第{number}句" + "话" * 50 for number in range(9)]
    for text in said:
        await say(services, text)
    await say(services, "/export")
    platform = await delivered(services, max_file_bytes=3000)
    documents = [json.loads(file.content) for file in platform.files[1::2]]
    count = len(documents)
    assert count > 2
    assert [document["part"] for document in documents] == [
        {"number": number, "of": count} for number in range(1, count + 1)
    ]
    assert max(len(file.content) for file in platform.files) < 3000
    lines = [line["text"] for document in documents for talk in document["conversations"] for line in talk["lines"]]
    assert lines == said
    assert all("小王" in file.content.decode() for file in platform.files)
    assert [f"第 {number} 份" in text for number, text in enumerate(platform.sent, start=1)] == [True] * count
    assert len({file.name for file in platform.files}) == 2 * count


async def test_what_is_said_while_the_parts_are_sent_doubles_and_loses_nothing(services: BotServices) -> None:
    for number in range(6):
        await say(services, f"第{number}句" + "话" * 50)
    await say(services, "/export")
    platform = TakesAll()
    sender = LateTextSender(platform, services.pen, send_files=platform.send_files, max_file_bytes=3000)
    courier = Courier(database=services.database, keys=services.keys, sender=sender)
    await courier.deliver_due()
    await say(services, "后来说的")
    while await courier.deliver_due():
        pass
    documents = [json.loads(file.content) for file in platform.files[1::2]]
    lines = [line["text"] for document in documents for talk in document["conversations"] for line in talk["lines"]]
    assert [line[:3] for line in lines] == [f"第{number}句" for number in range(6)] + ["后来说"]


@pytest.mark.parametrize(("reason", "words"), [("upload_failed", "没能发出去"), ("unknown", "不确定")])
async def test_an_export_that_cannot_be_sent_is_told_and_can_be_asked_for_again(
    services: BotServices, reason: str, words: str
) -> None:
    await say(services, "/export")
    platform = TakesAll()

    async def refuse(_text: OwedText, _files: Any) -> str | None:
        raise Undeliverable(reason)

    sender = LateTextSender(platform, services.pen, send_files=refuse)
    courier = Courier(database=services.database, keys=services.keys, sender=sender)
    while await courier.deliver_due():
        pass
    assert [words in text for text in platform.sent] == [True]
    await say(services, "/export")
    assert len((await delivered(services)).files) == 2


async def test_nobody_settles_an_export_while_it_is_being_sent(services: BotServices) -> None:
    await say(services, "/export")

    async def look(_text: OwedText, _files: Any) -> str | None:
        with services.database.begin() as session:
            assert sending.settle_abandoned(session, now=utc_now() + timedelta(seconds=120)) == 0
        return None

    sender = LateTextSender(TakesAll(), services.pen, send_files=look)
    await Courier(database=services.database, keys=services.keys, sender=sender).deliver_due()
    with services.database.read() as session:
        assert session.scalars(select(DELIVERIES.c.state)).all() == [DeliveryState.SENT]


async def test_the_fifth_export_at_a_time_comes_back_later_and_nothing_is_made_for_it(services: BotServices) -> None:
    for number in range(MAX_EXPORTS + 1):
        await say(services, "/export", who=f"第{number}人")
    may_go_on, begun = asyncio.Event(), list[str]()

    async def hold(text: OwedText, _files: Any) -> str | None:
        begun.append(text.address.chat_id)
        await may_go_on.wait()
        return None

    sender = LateTextSender(TakesAll(), services.pen, send_files=hold)
    courier = Courier(database=services.database, keys=services.keys, sender=sender)
    sending_all = asyncio.create_task(courier.deliver_due())
    await until(lambda: len(begun) == MAX_EXPORTS)
    may_go_on.set()
    await sending_all
    assert len(set(begun)) == len(begun) == MAX_EXPORTS  # which of the five waits is left to chance
    with services.database.read() as session:
        states = session.scalars(select(DELIVERIES.c.state)).all()
    assert sorted(states) == [DeliveryState.PENDING] + [DeliveryState.SENT] * MAX_EXPORTS


async def test_nothing_but_another_export_waits_for_an_export(services: BotServices) -> None:
    await say(services, "/export")
    platform = TakesAll()

    async def meanwhile(_text: OwedText, _files: Any) -> str | None:
        await say(services, "/help")
        courier = Courier(database=services.database, keys=services.keys, sender=platform)
        assert await courier.deliver_due() == 1
        return None

    sender = LateTextSender(platform, services.pen, send_files=meanwhile)
    await Courier(database=services.database, keys=services.keys, sender=sender).deliver_due()
    assert len(platform.sent) == 1


async def test_asking_twice_for_an_export_owes_one(services: BotServices) -> None:
    await say(services, "/export")
    await say(services, "/export")
    assert len((await delivered(services)).files) == 2


async def test_an_export_holds_nothing_of_anybody_else(services: BotServices) -> None:
    await say(services, SECRET, who="小李")
    await say(services, "你好")
    await say(services, "/export")
    assert all(SECRET not in file.content.decode() for file in (await delivered(services)).files)


async def test_in_a_group_nothing_is_shown_that_others_may_not_read(services: BotServices) -> None:
    among_others = InboundMessage(
        address=Address(channel=CHANNEL, chat_id="组/小王"),
        account="bot",
        user_id="小王",
        external_id="1",
        text="/export",
        sent_at=message().sent_at,
        is_private=False,
    )
    await services.inbox.receive(among_others)
    platform = await delivered(services)
    assert platform.files == []
    assert "私聊" in platform.sent[0]


async def test_a_deletion_that_is_confirmed_erases_and_says_goodbye(services: BotServices) -> None:
    await say(services, SECRET)
    await say(services, "/delete")
    await say(services, "确认删除。")
    assert person(services) is None
    platform = await delivered(services)
    assert len(platform.sent) == 1  # the question was not sent yet, and cannot be read any more
    assert "12356" in platform.sent[0]
    assert (await say(services, "我又来了")).turn_id is not None
    assert person(services) is not None


@pytest.mark.parametrize("between", ["等一下", "/help"])
async def test_a_deletion_is_confirmed_right_after_the_question_only(services: BotServices, between: str) -> None:
    await say(services, "/delete")
    await say(services, between)
    await say(services, "确认删除")
    assert person(services) is not None


async def test_the_question_stands_for_ten_minutes(services: BotServices) -> None:
    rooms = Rooms(services.database, services.keys)
    services.inbox._clock = rooms.clock
    await say(services, "/delete")
    rooms.clock.tick(timedelta(minutes=10).total_seconds() + 1)
    await say(services, "/delete confirm")
    assert person(services) is not None
    await say(services, "/delete")
    rooms.clock.tick(60)
    await say(services, "/delete confirm")
    assert person(services) is None


async def test_deleting_everything_does_not_lift_a_block(services: BotServices) -> None:
    await say(services, SECRET)
    before = person(services)
    assert before is not None
    with services.database.begin() as session:
        session.execute(update(PEOPLE).values(blocked_at=message().sent_at))
    await say(services, "删除我的数据")
    await say(services, "确认删除")
    after = person(services)
    assert after is not None
    assert after.id != before.id
    assert after.blocked_at == message().sent_at
    assert (await say(services, "我又来了")).turn_id is None


async def test_a_confirmation_that_the_platform_repeats_does_nothing(services: BotServices) -> None:
    await say(services, "/delete")
    await say(services, "确认删除", external_id="7")
    assert (await say(services, "确认删除", external_id="7")).is_repeat
    assert len((await delivered(services)).sent) == 1


def busy() -> bool:
    """As `Forgetting.forget` while a reader keeps old pages."""
    raise DatabaseUnavailable("a reader")


async def test_nobody_is_told_of_an_erasure_before_the_files_have_forgotten_it(services: BotServices) -> None:
    await say(services, "/delete")
    await say(services, "确认删除")
    rooms = Rooms(services.database, services.keys)
    rooms.clock.tick(timedelta(days=365).total_seconds())
    owed = rooms.due(owner=UUID(int=1))[-1]
    assert owed.kind is DeliveryKind.FAREWELL
    platform = TakesAll()
    waiting = LateTextSender(platform, replace(services.pen, forget=busy))
    with pytest.raises(TryLater):
        await waiting.send(owed)
    assert platform.sent == []
    await waiting.send(replace(owed, attempt=60))  # they have waited long enough, and hear what is true
    assert "最迟 1 天" in platform.sent[-1]
    await LateTextSender(platform, services.pen).send(owed)
    assert "最迟" not in platform.sent[-1]
    await LateTextSender(platform, replace(services.pen, copies_days=7)).send(owed)
    assert "最迟 7 天" in platform.sent[-1]


async def test_an_export_that_was_owed_when_the_person_was_erased_is_not_sent(services: BotServices) -> None:
    await say(services, "/export")
    sender = LateTextSender(TakesAll(), services.pen)
    rooms = Rooms(services.database, services.keys)
    rooms.clock.tick(timedelta(days=365).total_seconds())
    (owed,) = rooms.due(owner=UUID(int=1))
    found = person(services)
    assert found is not None
    with services.database.begin() as session:
        erasure.erase(session, found.id, by=ClosedBy.ADMIN, actor="x", farewell_to=None, now=message().sent_at)
    with pytest.raises(Undeliverable, match="erased"):
        await sender.send(owed)


async def test_a_complaint_is_kept_sealed_for_the_admins(services: BotServices) -> None:
    await say(services, "投诉：回复没有帮助")
    assert "收到" in (await delivered(services)).sent[0]
    with services.database.begin() as session:
        (one,) = complaints.open_ones(session)
        words = complaints.read(session, services.keys, one.id, by="admin", now=message().sent_at)
        raw = session.scalar(select(Complaint.text))
    assert words is not None
    assert words.text == "回复没有帮助"
    assert raw is not None
    assert "回复".encode() not in raw


async def test_danger_in_a_complaint_is_answered_like_all_danger(services: BotServices) -> None:
    await say(services, "/complain 你们都没用，我今晚就想结束自己")
    platform = await delivered(services)
    assert any("120" in text for text in platform.sent)
    with services.database.read() as session:
        assert len(complaints.open_ones(session)) == 1


async def test_after_so_many_complaints_a_day_the_next_is_kindly_not_passed_on(services: BotServices) -> None:
    for number in range(complaints.MAX_A_DAY):
        await say(services, f"投诉：第{number}件")
    await say(services, "投诉：又一件")
    await say(services, "投诉：我今晚就想结束自己")
    sent = (await delivered(services)).sent
    assert sum("收到了" in text for text in sent) == complaints.MAX_A_DAY
    assert sum("没有转过去" in text for text in sent) == 2
    assert any("拨打 120" in text for text in sent)
    with services.database.read() as session:
        assert len(complaints.open_ones(session)) == complaints.MAX_A_DAY


async def test_a_contact_is_shown_changed_and_removed(services: BotServices) -> None:
    await say(services, "紧急联系人：妈妈 1")
    await say(services, "/contact 爸爸 2")
    await say(services, "紧急联系人")
    await say(services, "/contact remove")
    await say(services, "/contact")
    shown = (await delivered(services)).sent
    assert "爸爸 2" in shown[2]
    assert "自愿" in shown[4]
    found = person(services)
    assert found is not None
    with services.database.begin() as session:
        known = people.locked(session, services.keys, channel=CHANNEL, user_id="小王", now=message().sent_at)
        assert contacts.shown(session, known) is None


async def test_a_terminal_gets_files_that_nobody_else_can_read(services: BotServices, tmp_path: Path) -> None:
    sender = ConsoleSender()
    files = ConsoleFiles(sender, tmp_path / "exports", services.texts)
    address = Address(channel=CONSOLE, chat_id="me")
    sender.close()  # closing flushes the file
    owed = OwedText(id=UUID(int=1), address=address, kind=DeliveryKind.EXPORT, text="", turn_id=None, part=0, attempt=1)
    with pytest.raises(TryLater):
        await files.send(owed, [File(name="a.txt", content=b"1"), File(name="a.json", content=b"2")])
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "exports").iterdir()} == {
        "a.txt": 0o600,
        "a.json": 0o600,
    }


async def test_an_admin_hears_of_a_complaint_but_not_its_words(
    services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = Address(channel=CHANNEL, chat_id="管理员")
    rules = services.inbox.rules
    monkeypatch.setattr(services.inbox, "rules", replace(rules, office=replace(rules.office, admins=(admin,))))
    await say(services, "你好")
    await say(services, f"投诉：{SECRET}")
    alerts = [text for text in (await delivered(services)).sent if "新的投诉" in text]
    assert len(alerts) == 1
    assert SECRET not in alerts[0]


async def test_nobody_who_has_not_agreed_leaves_a_contact(
    services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = services.inbox.rules
    monkeypatch.setattr(services.inbox, "rules", replace(rules, gate=replace(rules.gate, is_required=True)))
    await say(services, "紧急联系人：妈妈 1")
    with services.database.begin() as session:
        known = people.locked(session, services.keys, channel=CHANNEL, user_id="小王", now=message().sent_at)
        assert contacts.shown(session, known) is None
