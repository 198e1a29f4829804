import json
import logging
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import create_engine, event, inspect, select, text

from bot.incoming.inbox import Inbox
from bot.services import BotServices
from dialogue.broker.doorbell import QUEUE
from dialogue.broker.signals import CANCEL
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.core import sending
from dialogue.core.commands import Command
from dialogue.errors import DatabaseUnavailable
from dialogue.states import TurnState
from dialogue.storage.database import connect
from dialogue.tables import Turn
from tests.bot.inboxes import inbox_beside
from tests.builders import Rooms, message

ME = UUID(int=1)


def answers(services: BotServices) -> list[str]:
    rooms = Rooms(services.database, services.keys)
    rooms.clock.tick(365 * 86400)
    texts = []
    while owed := rooms.due(owner=ME):
        for one in owed:
            texts.append(one.text)
            with services.database.begin() as session:
                sending.mark_sent(session, one.id, owner=ME, platform_message_id=None, now=rooms.clock())
    return texts


def rings(redis_url: str) -> list[str]:
    """The conversation ids that wait in the broker."""
    with Redis.from_url(in_redis_form(redis_url)) as redis:
        envelopes = [json.loads(raw) for raw in redis.lrange(QUEUE, 0, -1)]
    return [envelope["headers"]["argsrepr"] for envelope in envelopes]


async def test_words_are_stored_and_rung_for(services: BotServices, redis_url: str) -> None:
    receipt = await services.inbox.receive(message("我很难过"))
    assert receipt.turn_id is not None
    assert rings(redis_url) == [f"['{receipt.conversation_id}']"]
    assert answers(services) == []


async def test_a_repeated_update_does_nothing_at_all(services: BotServices, redis_url: str) -> None:
    update = message("我很难过", external_id="7")
    await services.inbox.receive(update)
    again = await services.inbox.receive(update)
    assert again.is_repeat
    assert len(rings(redis_url)) == 1


async def test_a_repeated_command_is_answered_once(services: BotServices) -> None:
    update = message("/help", external_id="7")
    await services.inbox.receive(update)
    await services.inbox.receive(update)
    assert len(answers(services)) == 1


@pytest.mark.parametrize(
    ("said", "command", "words"),
    [
        ("/start", Command.START, "不是真人"),
        ("/help", Command.HELP, "/reset"),
        ("/nonsense", Command.UNKNOWN, "/help"),
        ("/reset", Command.RESET, "重新开始"),
        ("结束对话", Command.END, "照顾好自己"),
    ],
)
async def test_commands_are_answered_without_the_model(
    services: BotServices, redis_url: str, said: str, command: Command, words: str
) -> None:
    receipt = await services.inbox.receive(message(said))
    assert receipt.command is command
    (answer,) = answers(services)
    assert words in answer
    assert rings(redis_url) == []


async def test_the_end_discards_what_is_generated_and_tells_the_workers(services: BotServices, redis_url: str) -> None:
    heard = await services.inbox.receive(message("我很难过"))
    with Redis.from_url(in_redis_form(redis_url)) as redis, redis.pubsub() as topics:
        topics.subscribe(CANCEL)
        assert topics.get_message(timeout=2)
        ended = await services.inbox.receive(message("结束对话"))
        assert ended.cancelled_turn_ids == [heard.turn_id]
        event = topics.get_message(timeout=2)
        assert heard.turn_id is not None
        assert event is not None
        assert event["data"] == heard.turn_id.bytes
    with services.database.read() as session:
        assert session.scalars(select(Turn.state)).all() == [TurnState.DISCARDED]


async def test_after_the_end_the_next_words_open_a_new_conversation(services: BotServices) -> None:
    first = await services.inbox.receive(message("一"))
    await services.inbox.receive(message("结束对话"))
    second = await services.inbox.receive(message("二"))
    assert first.conversation_id != second.conversation_id


@pytest.mark.parametrize(
    ("said", "words"), [("  ", "没有收到文字"), ("\x00", "没有收到文字"), ("长" * 101, "101 个字")]
)
async def test_what_cannot_be_answered_is_refused_kindly_and_once(services: BotServices, said: str, words: str) -> None:
    update = message(said, external_id="7")
    receipt = await services.inbox.receive(update)
    assert receipt.turn_id is None
    await services.inbox.receive(update)
    (answer,) = answers(services)
    assert words in answer


async def test_without_a_broker_the_words_are_stored_all_the_same(services: BotServices, tmp_path: Path) -> None:
    nobody = f"redis+socket://{tmp_path}/nobody.sock"
    deaf = inbox_beside(services, broker_url=nobody)
    receipt = await deaf.receive(message("我很难过"))
    assert receipt.turn_id is not None
    await deaf.receive(message("/help"))
    assert len(answers(services)) == 1


async def test_a_database_that_cannot_be_written_is_said_so_to_the_adapter(
    services: BotServices, tmp_path: Path
) -> None:
    blocker = create_engine(services.database.engine.url, connect_args={"timeout": 0.1})
    with blocker.connect() as connection:
        connection.execute(text("BEGIN EXCLUSIVE"))
        impatient = _impatient(services)
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await impatient.receive(message("我很难过"))
        connection.rollback()
    blocker.dispose()
    assert (await services.inbox.receive(message("我很难过"))).turn_id is not None


async def test_a_full_disk_is_said_so_and_what_was_stored_stays(services: BotServices) -> None:
    with services.database.engine.connect() as connection:
        page_count = connection.execute(text("PRAGMA page_count")).scalar_one()
    event.listen(
        services.database.engine,
        "begin",
        lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={page_count}"),
    )
    turn_ids: list[UUID | None] = []

    async def talk_for_ever() -> None:
        while True:
            turn_ids.append((await services.inbox.receive(message("长" * 100))).turn_id)

    with pytest.raises(DatabaseUnavailable, match="full"):
        await talk_for_ever()
    event.listen(
        services.database.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=100000")
    )
    receipt = await services.inbox.receive(message("还在吗"))
    assert receipt.conversation_id is not None
    assert {*turn_ids} == {receipt.turn_id}
    words = Rooms(services.database, services.keys).claimed(receipt.conversation_id, owner=ME).text
    assert len(words.splitlines()) == len(turn_ids) + 1


async def test_no_words_are_found_in_the_database_the_broker_or_the_log(
    services: BotServices,
    redis_url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "月亮背面的秘密"
    await services.inbox.receive(message(secret))
    await services.inbox.receive(message(secret + "长" * 100))
    assert secret not in caplog.text + "".join(capfd.readouterr())
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.glob("bot.db*"))
    with Redis.from_url(in_redis_form(redis_url)) as redis:
        stored = [redis.dump(key) or b"" for key in redis.keys("*")]
    assert stored
    assert all(secret.encode() not in value for value in stored)
    with services.database.engine.connect() as connection:
        names = inspect(connection).get_table_names()
        rows = [str(row) for name in names for row in connection.execute(text(f'SELECT * FROM "{name}"'))]
    assert not any(secret in row for row in rows)


def _impatient(services: BotServices) -> Inbox:
    """Waits for a lock for a tenth of a second instead of fifteen."""
    database = connect(str(services.database.engine.url))
    event.listen(database.engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout = 100"))
    return inbox_beside(services, database=database)
