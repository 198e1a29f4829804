"""A group that gets another id, heard of by whichever process there is: after a restart, or behind a balancer."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy import select, text
from telegram.error import ChatMigrated

from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.flood_limits import Limiter, LocalSlots, Pace
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.records import Records
from bot.channels.telegram.sender import TelegramSender
from bot.channels.telegram.updates import Account
from bot.channels.telegram.webhook import SECRET_HEADER, Webhook
from bot.outgoing.courier import Undeliverable
from bot.services import BotServices
from care import texts
from dialogue.core import media_marks, pending
from dialogue.process.settings import DialogueSettings
from dialogue.states import DeliveryKind
from dialogue.storage.vault import new_secret
from dialogue.tables import CONVERSATIONS, MESSAGES, PEOPLE
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.test_formatting import owed
from tests.bot.telegram.test_polling import FakeHealth, Unseen, in_group
from tests.bot.telegram.wire import BOT
from tests.patience import until, wait_until

OLD, NEW = -5, -1005
WHO = 7
MENTION = f"@{BOT['username']}"
GROUP = {"id": OLD, "type": "group", "title": "组"}
SUPERGROUP = {"id": NEW, "type": "supergroup", "title": "组"}


def test_after_a_restart_late_words_of_the_old_id_are_answered_with_the_memory_of_the_group(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic(MINDGLM_TELEGRAM_GROUPS="true", MINDGLM_SCRIPTED_REPLY="{turns} 收到：{text}").open()
    asked = telegram.message(WHO, GROUP, text=f"{MENTION} 一")
    wait_until(lambda: telegram.texts(OLD) == ["0 收到：一"], 20)
    assert telegram.sent[OLD][0].reply_to == asked
    telegram.moved[OLD] = NEW
    telegram.message(WHO, GROUP, migrate_to_chat_id=NEW)
    telegram.message(WHO, SUPERGROUP, text=f"{MENTION} 二")
    wait_until(lambda: telegram.texts(NEW) == ["1 收到：二"], 20)
    wait_until(clinic.is_quiet, 20)
    clinic.kill_adapters()
    telegram.message(WHO, GROUP, text=f"{MENTION} 三")
    clinic.start_adapter().wait_ready()
    wait_until(lambda: telegram.texts(NEW) == ["1 收到：二", "2 收到：三"], 20)
    assert telegram.sent[NEW][1].reply_to is None  # the message has another id there, or none
    assert telegram.texts(OLD) == ["0 收到：一"]


class MovedSource:
    """The group moved from which something is to be copied."""

    async def copy(self, chat_id: int, _message_id: int, *, to: int, **_fields: object) -> int:
        assert (chat_id, to) == (OLD, 9)
        raise ChatMigrated(NEW)


async def test_what_a_group_showed_before_it_moved_cannot_be_copied_and_moves_nobody_else() -> None:
    """The one who holds the conversation is told; their own chat is not taken for the one that moved."""
    moved: list[tuple[int, int]] = []

    async def move(before: int, after: int) -> None:
        moved.append((before, after))

    unused = cast("Any", None)
    sender = TelegramSender(
        bot=cast("Any", MovedSource()),
        limiter=Limiter(LocalSlots()),
        paces=lambda _place: Pace(account_per_second=1000, chat_per_second=1000),
        shown=unused,
        begin=unused,
        reply_to=unused,
        on_gone=unused,
        on_moved=move,
        language_of=unused,
        texts_in=unused,
        has_ratings=False,
        texts=texts.load("zh"),
    )
    picture = replace(
        owed(media_marks.mark(f"{OLD}:17"), kind=DeliveryKind.RELAY), address=TelegramChat(chat_id=9).address()
    )
    with pytest.raises(Undeliverable) as refused:
        await sender.send(picture)
    assert "平台不让取回" in str(refused.value.telling)
    assert moved == []


class Behind:
    """One of several processes behind a balancer."""

    def __init__(self, database_url: str, broker_url: str, home: Path, secret: str) -> None:
        self.services = BotServices.open(
            DialogueSettings(
                home=home,
                database_url=SecretStr(database_url),
                broker_url=SecretStr(broker_url),
                secret_key=SecretStr(secret),
                consent="off",
                messages_per_minute=0,
            )
        )
        records = Records(self.services.database, self.services.keys)
        intake = Intake(
            inbox=self.services.inbox,
            account=Account(id=4242, username=str(BOT["username"])),
            are_groups_served=True,
            shown=Unseen(),
            buttons=Unseen(),
            menus=Unseen(),
            on_moved=records.move,
        )
        self._webhook = Webhook(intake, cast("Any", FakeHealth()), secret="s")
        self.address = f"http://127.0.0.1:{self._webhook.listen('127.0.0.1:0')}"

    async def close(self) -> None:
        await self._webhook.close()
        self.services.close()


@pytest.fixture
def behind(postgres_database: Callable[[], str], broker_url: str, tmp_path: Path) -> Callable[[], Behind]:
    database_url, secret = postgres_database(), new_secret()
    return lambda: Behind(database_url, broker_url, tmp_path, secret)


async def test_two_processes_behind_a_balancer_keep_the_order_of_words_that_one_of_them_is_storing(
    behind: Callable[[], Behind],
) -> None:
    first, second = behind(), behind()
    async with AsyncExitStack() as opened:
        for process in (first, second):
            opened.push_async_callback(process.close)
        telegram = await opened.enter_async_context(AsyncClient(headers={SECRET_HEADER: "s"}, trust_env=False))

        async def post(to: Behind, update: dict[str, Any]) -> int:
            return (await telegram.post(to.address, content=json.dumps(update), timeout=60)).status_code

        async def say(to: Behind, update_id: int, chat_id: int, words: str) -> int:
            return await post(to, in_group(update_id, chat_id, who=WHO, text=f"{MENTION} {words}"))

        assert await say(first, 1, OLD, "一") == 200
        with first.services.database.begin() as session:  # whoever it is, a frozen process among them
            session.execute(select(PEOPLE.c.id).with_for_update()).all()
            slow = asyncio.create_task(say(first, 2, OLD, "二"))
            await until(lambda: _waiting(first, "transactionid"))
            move = asyncio.create_task(post(second, in_group(3, NEW, who=9, migrate_from_chat_id=OLD)))
            await until(lambda: _waiting(first, "advisory"))
        assert (await slow, await move) == (200, 200)
        assert await say(second, 4, NEW, "三") == 200
        assert await say(first, 5, OLD, "四") == 200
        with first.services.database.read() as session:
            (place,) = session.scalars(select(CONVERSATIONS.c.chat_id)).all()
            turns = pending.waiting_turns(session, "telegram")
            stored = session.scalars(select(MESSAGES.c.external_id).order_by(MESSAGES.c.id)).all()
        assert place == f"{NEW}/{WHO}"
        assert len(turns) == 1
        assert stored == [f"{OLD}:1", f"{OLD}:2", f"{NEW}:4", f"{OLD}:5"]


def _waiting(process: Behind, for_what: str) -> bool:
    with process.services.database.read() as session:
        query = text("SELECT count(*) FROM pg_locks WHERE locktype = :kind AND NOT granted")
        return bool(session.scalar(query, {"kind": for_what}))
