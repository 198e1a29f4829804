"""An admin who takes over hears somebody in danger, whatever they agreed to; others only after they agreed."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.services import BotServices
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.bot.staff.chat import BOSS, PERSON, order, owed, short, states
from tests.builders import message


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> DialogueSettings:
    return DialogueSettings(
        home=tmp_path,
        database_url=SecretStr(sqlite_url(tmp_path / "bot.db")),
        broker_url=SecretStr(redis_url),
        secret_key=SecretStr(new_secret()),
        consent="required",
        admins="telegram:42",
    )


async def test_words_of_danger_reach_the_human_without_consent(desk: BotServices) -> None:
    await desk.inbox.receive(message("你好"))
    receipt = await desk.inbox.receive(message("我今晚就想结束自己"))
    assert "120" in owed(desk, PERSON)[-1]
    await order(desk, f"/admin takeover {short(receipt.conversation_id)}")
    await desk.inbox.receive(message("我在天台上"))
    assert "我在天台上" in "".join(owed(desk, BOSS))


async def test_other_words_wait_and_reach_the_human_after_the_consent_and_never_the_model(desk: BotServices) -> None:
    receipt = await desk.inbox.receive(message("我睡不着"))
    await order(desk, f"/admin takeover {short(receipt.conversation_id)}")
    await desk.inbox.receive(message("已经三天了"))
    assert "三天" not in "".join(owed(desk, BOSS))
    await desk.inbox.receive(message("同意"))
    relayed = "".join(owed(desk, BOSS))
    assert "我睡不着" in relayed
    assert "已经三天了" in relayed
    assert states(desk) == []
