"""Files on their way to the loopback Bot API: in pieces, begun only when complete, broken off at a stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from bot.channels.telegram import uploads as sending_files
from bot.channels.telegram.bot_api import BotApi, connect
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.connections import told_before_it_leaves
from bot.channels.telegram.settings import TelegramSettings
from bot.channels.telegram.uploads import Uploads
from bot.outgoing.courier import TryLater, Undeliverable
from bot.outgoing.late_texts import MAX_FILE_BYTES, upload_seconds
from dialogue.messages import Address, OwedText
from dialogue.rights.export import File
from dialogue.states import DeliveryKind
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.bot.telegram.test_danger_first import has_said
from tests.patience import wait_until

CHAT = TelegramChat(chat_id=7)
# more than the buffers of both ends take, so that an upload that is held is really under way
FILES = [File(name="a.txt", content=b"a" * 10_000_000), File(name="a.json", content=b"{}" * 5_000_000)]


def owed(number: int = 1) -> OwedText:
    return OwedText(
        id=UUID(int=number),
        address=Address(channel="telegram", chat_id="7"),
        kind=DeliveryKind.EXPORT,
        text="这是我们保存的关于你的全部内容。",
        turn_id=None,
        part=0,
        attempt=1,
    )


@pytest.fixture
async def bot(telegram: Telegram) -> AsyncIterator[BotApi]:
    connected = connect(TelegramSettings(telegram_token=SecretStr(TOKEN), telegram_api_url=telegram.api_url))
    await connected.initialize()
    yield connected
    telegram.uploads.release()
    await connected.shutdown()


@pytest.fixture
def begun() -> list[UUID]:
    return []


@pytest.fixture
def uploads(bot: BotApi, begun: list[UUID]) -> Uploads:
    return Uploads(bot, begun.append)


async def has_begun(telegram: Telegram, count: int = 1) -> None:
    async with asyncio.timeout(20):
        while telegram.uploads.begun_count < count:
            await asyncio.sleep(0.01)


async def test_files_arrive_together_with_the_text_beneath_the_last(
    uploads: Uploads, telegram: Telegram, begun: list[UUID]
) -> None:
    message_id = await uploads.send(CHAT, owed(), FILES)
    assert [(sent.file, sent.text) for sent in telegram.sent[7]] == [
        (FILES[0].content, ""),
        (FILES[1].content, owed().text),
    ]
    assert message_id == str(telegram.sent[7][-1].message_id)
    assert begun == [owed().id]


async def test_a_text_leaves_while_files_are_on_their_way(uploads: Uploads, telegram: Telegram, bot: BotApi) -> None:
    telegram.hold_uploads()
    running = asyncio.create_task(uploads.send(CHAT, owed(), FILES))
    await has_begun(telegram)
    with told_before_it_leaves(_nothing):
        await bot.send_message(8, "我在")
    assert telegram.texts(8) == ["我在"]
    assert not running.done()
    telegram.uploads.release()
    await running


async def test_what_a_stop_breaks_off_is_not_begun_and_due_at_once(
    uploads: Uploads, telegram: Telegram, begun: list[UUID]
) -> None:
    telegram.hold_uploads()
    running = asyncio.create_task(uploads.send(CHAT, owed(), FILES))
    await has_begun(telegram)
    uploads.close()
    with pytest.raises(TryLater) as later:
        await running
    assert (later.value.after_seconds, begun, telegram.sent[7]) == (0, [], [])


async def test_files_that_take_too_long_are_given_up_after_three_tries(
    uploads: Uploads, telegram: Telegram, begun: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_files, "upload_seconds", lambda _size: 0.3)
    telegram.hold_uploads()
    for _ in range(2):
        with pytest.raises(TryLater):
            await uploads.send(CHAT, owed(), FILES)
    with pytest.raises(Undeliverable, match="upload_failed"):
        await uploads.send(CHAT, owed(), FILES)
    assert begun == []


async def test_files_whose_answer_is_lost_are_not_sent_twice(
    uploads: Uploads, telegram: Telegram, begun: list[UUID]
) -> None:
    telegram.fault("sendMediaGroup", "lose")
    with pytest.raises(Undeliverable, match="unknown"):
        await uploads.send(CHAT, owed(), FILES)
    assert begun == [owed().id]


async def test_crisis_words_pass_the_texts_that_wait_to_leave(telegram: Telegram, bot: BotApi) -> None:
    may_leave, left = asyncio.Event(), list[str]()

    async def send(text: str, priority: int) -> None:
        async def tell() -> None:
            left.append(text)
            await may_leave.wait()

        with told_before_it_leaves(tell, priority=priority):
            await bot.send_message(8, text)

    first = asyncio.create_task(send("先", 0))
    async with asyncio.timeout(10):
        while not left:
            await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(send(f"{number}", 0)) for number in range(5)]
        waiting.append(asyncio.create_task(send("热线", 3)))
        await bot.get_me()  # by now they have their connections
        await bot.get_me()
        may_leave.set()
        await asyncio.gather(first, *waiting)
    assert left.index("热线") <= 2


def test_the_largest_files_may_take_half_an_hour() -> None:
    """7 MB at 300 kB/s were given up after 20 seconds."""
    assert upload_seconds(7_000_000) > 10 * 7_000_000 / 300_000
    assert 1600 < upload_seconds(MAX_FILE_BYTES) < 1800


@pytest.mark.parametrize("is_complete", [False, True])
def test_an_adapter_that_is_killed_while_it_sends_files_loses_and_doubles_nothing(
    open_clinic: Callable[..., Clinic], telegram: Telegram, *, is_complete: bool
) -> None:
    clinic = open_clinic()
    has_said(clinic, 7, 8_000_000)
    if not is_complete:
        telegram.hold_uploads()
    adapter = clinic.start_adapter().wait_ready()

    def kill(method: str, _fields: dict[str, Any]) -> None:
        if method == "sendMediaGroup":
            adapter.process.kill()

    telegram.on_call = kill
    telegram.write(7, "/export")
    if not is_complete:
        wait_until(lambda: telegram.uploads.begun_count, 20)
        adapter.process.kill()
    adapter.process.wait(20)
    telegram.on_call = lambda _method, _fields: None
    telegram.uploads.release()
    clinic.start_adapter().wait_ready()
    wait_until(clinic.is_quiet, 60)
    assert len(telegram.sent[7]) == 2


def test_a_stop_does_not_wait_for_an_upload_and_the_next_adapter_sends_it(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic()
    has_said(clinic, 7, 8_000_000)
    telegram.hold_uploads()
    adapter = clinic.start_adapter().wait_ready()
    telegram.write(7, "/export")
    wait_until(lambda: telegram.uploads.begun_count, 20)
    assert adapter.terminate(30) == 0
    telegram.uploads.release()
    clinic.start_adapter().wait_ready()
    wait_until(clinic.is_quiet, 60)
    assert len(telegram.sent[7]) == 2


async def _nothing() -> None:
    pass
