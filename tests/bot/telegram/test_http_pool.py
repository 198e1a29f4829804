"""Connections to a Bot API server as networks and proxies make them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from telegram.error import BadRequest, ChatMigrated, Forbidden, NetworkError, RetryAfter, TelegramError, TimedOut

from bot.channels.telegram.bot_api import BotApi, connect, never_arrived, retry_seconds
from bot.channels.telegram.connections import told_before_it_leaves
from bot.channels.telegram.settings import TelegramSettings
from dialogue.errors import Misconfigured
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.patience import wait_until
from tests.services.listening import Handler, ListeningServer


def api(url: str, proxy: str | None = None) -> BotApi:
    return connect(
        TelegramSettings(
            telegram_token=SecretStr(TOKEN),
            telegram_api_url=url,
            telegram_proxy=SecretStr(proxy) if proxy is not None else None,
        )
    )


@asynccontextmanager
async def opened(bot: BotApi) -> AsyncIterator[BotApi]:
    """Without asking who it is."""
    for request in bot._request:
        await request.initialize()
    try:
        yield bot
    finally:
        for request in bot._request:
            await request.shutdown()


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[ListeningServer]:
    listening = await ListeningServer(handler).start()
    try:
        yield listening
    finally:
        await listening.close()


def answering(words: bytes) -> Handler:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        await writer.drain()

    return answer


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Both ways until one side ends."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(4096):
            sink.write(piece)
            await sink.drain()

    try:
        ways = [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        far_writer.transport.abort()
        await asyncio.sleep(0)


async def _nothing() -> None:
    pass


async def test_connections_are_kept_however_many_are_in_flight(telegram: Telegram) -> None:
    telegram.delay_seconds = 0.01
    assert telegram._server is not None
    async with opened(api(telegram.api_url)) as bot:

        async def talk(who: int) -> None:
            for _ in range(5):
                with told_before_it_leaves(_nothing):
                    await bot.send_message(who, "我在")

        await asyncio.gather(*(talk(who) for who in range(1, 31)))
        assert len(telegram._server._handling) <= 30
        assert sum(len(telegram.sent[who]) for who in range(1, 31)) == 150


async def test_a_text_is_announced_when_the_one_before_has_left(telegram: Telegram) -> None:
    """A process that dies leaves one text at most of which nobody knows whether it left."""
    announced = 0

    async def tell() -> None:
        nonlocal announced
        wait_until(lambda: telegram.count("sendMessage") == announced, 1)  # holds up our loop, which writes no more
        announced += 1

    async with opened(api(telegram.api_url)) as bot:

        async def talk(who: int) -> None:
            with told_before_it_leaves(tell):
                await bot.send_message(who, "我在")

        for _ in range(3):  # at first they wait for their connections
            await asyncio.gather(*(talk(who) for who in range(1, 21)))
    assert announced == 60


async def test_what_fails_before_its_first_byte_never_arrived(telegram: Telegram) -> None:
    async with server(answering(b"")) as gone:
        url = f"http://127.0.0.1:{gone.port}/bot"
    async with opened(api(url)) as bot:
        with pytest.raises(NetworkError) as refused:
            await bot.get_me()
    assert never_arrived(refused.value)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n"])
async def test_of_an_answer_that_is_lost_the_outcome_is_unknown(words: bytes) -> None:
    async with server(answering(words)) as broken, opened(api(f"http://127.0.0.1:{broken.port}/bot")) as bot:
        with pytest.raises(NetworkError) as lost:
            await bot.send_message(1, "我在")
    assert not never_arrived(lost.value)
    assert TOKEN not in str(lost.value)


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(silent) as mute, opened(api(f"http://127.0.0.1:{mute.port}/bot")) as bot:
        with pytest.raises(TimedOut) as late:
            await bot.send_message(1, "我在", read_timeout=0.1)
    assert not never_arrived(late.value)


async def test_an_answer_that_is_no_json_is_told_without_its_words() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
    async with server(answering(page)) as portal, opened(api(f"http://127.0.0.1:{portal.port}/bot")) as bot:
        with pytest.raises(TelegramError, match="Invalid server response") as odd:
            await bot.send_message(1, "我在")
    assert "html" not in str(odd.value)


async def test_a_text_whose_announcement_fails_has_not_left(telegram: Telegram) -> None:
    async def broken() -> None:
        raise OSError

    async with opened(api(telegram.api_url)) as bot:
        with pytest.raises(NetworkError) as failed, told_before_it_leaves(broken):
            await bot.send_message(1, "我在")
        with told_before_it_leaves(_nothing):
            await bot.send_message(1, "还在")
    assert never_arrived(failed.value)
    assert telegram.texts(1) == ["还在"]


def _http_proxy(telegram: Telegram, asked: list[str]) -> Handler:
    """Knows `u` with the password `p/w`."""

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.split("\r\n")[0])
        if f"Proxy-Authorization: Basic {base64.b64encode(b'u:p/w').decode()}" not in head:
            writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        length = next(int(line[16:]) for line in head.split("\r\n") if line.startswith("Content-Length: "))
        body = await reader.readexactly(length)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(telegram.api_url.split(":")[2][:-4]))
        path = head.split(" ")[1].split("/", 3)[3]
        far_writer.write(
            f"POST /{path} HTTP/1.1\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {length}\r\n\r\n".encode()
            + body
        )
        writer.write(await far_reader.read())
        await writer.drain()
        far_writer.transport.abort()
        await asyncio.sleep(0)

    return proxy


def _socks_proxy(telegram: Telegram, asked: list[str]) -> Handler:
    """SOCKS 5 (RFC 1928) that looks names up, for `u` with the password `p/w` (RFC 1929)."""

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        name = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        if (name, password) != (b"u", b"p/w"):
            writer.write(b"\x01\x01")
            return
        writer.write(b"\x01\x00")
        *_, kind = await reader.readexactly(4)
        size = (await reader.readexactly(1))[0] if kind == 3 else 4
        asked.append((await reader.readexactly(size)).decode("latin-1"))
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await pass_on(reader, writer, int(telegram.api_url.split(":")[2][:-4]))

    return proxy


@pytest.mark.parametrize(
    ("scheme", "make", "shown"),
    [
        ("http", _http_proxy, "POST http://far.invalid"),
        ("socks5", _socks_proxy, "far.invalid"),
        ("socks5h", _socks_proxy, "far.invalid"),
    ],
)
async def test_a_proxy_leads_there_and_looks_the_name_up(
    telegram: Telegram, scheme: str, make: Callable[[Telegram, list[str]], Handler], shown: str
) -> None:
    asked: list[str] = []
    async with server(make(telegram, asked)) as proxy:
        async with opened(api("http://far.invalid/bot", f"{scheme}://u:p%2Fw@127.0.0.1:{proxy.port}")) as bot:
            await bot.send_message(1, "我在")
        assert telegram.texts(1) == ["我在"]
        assert asked[0].startswith(shown)
        async with opened(api("http://far.invalid/bot", f"{scheme}://u:wrong@127.0.0.1:{proxy.port}")) as bot:
            with pytest.raises(TelegramError) as refused:
                await bot.send_message(2, "我在")
    assert "wrong" not in str(refused.value)
    assert never_arrived(refused.value)
    assert telegram.texts(2) == []


@pytest.mark.parametrize("proxy", ["ftp://h:1", "socks4://h:1", "http://", "http://h:x"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str) -> None:
    with pytest.raises(Misconfigured, match="MINDGLM_TELEGRAM_PROXY"):
        api("https://far.invalid/bot", proxy)


def said(status: int, body: object) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content


def refusal(code: int, description: object, **more: object) -> dict[str, object]:
    return {"ok": False, "error_code": code, "description": description, **more}


@pytest.mark.parametrize(
    ("answer", "error", "has_effect"),
    [
        (said(200, refusal(400, "Bad Request: chat not found")), BadRequest, False),
        (said(200, refusal(403, "Forbidden: bot was blocked by the user")), Forbidden, False),
        (said(200, refusal(429, "slow", parameters={"retry_after": "3"})), RetryAfter, False),
        (said(200, {"ok": False}), NetworkError, False),
        (said(200, {"ok": True}), TelegramError, True),
        (said(200, {"ok": True, "result": True}), TelegramError, True),
        (said(200, {"ok": True, "result": {"message_id": None}}), TelegramError, True),
        (said(200, [1]), TelegramError, True),
        (said(200, b"<html>"), TelegramError, True),
        (said(403, b"<html>403 Forbidden: nginx</html>"), NetworkError, False),
        (said(400, b"<html>"), NetworkError, False),
        (said(400, [1]), NetworkError, False),
        (said(400, refusal(400, 5)), BadRequest, False),
        (said(400, refusal(400, "upgraded", parameters={"migrate_to_chat_id": "-100"})), ChatMigrated, False),
        (said(429, refusal(429, "Too Many Requests")), NetworkError, False),
        (said(429, refusal(429, "Too Many Requests", parameters={"retry_after": 1.5})), RetryAfter, False),
        (said(403, refusal(403, "Forbidden: bot was kicked from the supergroup chat")), Forbidden, False),
    ],
)
async def test_an_answer_of_another_shape_is_told_as_what_it_means(
    answer: bytes, error: type[TelegramError], has_effect: bool
) -> None:
    async with server(answering(answer)) as listening, opened(api(f"http://127.0.0.1:{listening.port}/bot")) as bot:
        with pytest.raises(TelegramError) as raised:
            await bot.say(5, "在")
    assert isinstance(raised.value, error)
    assert isinstance(raised.value, BadRequest) == (error is BadRequest)
    assert never_arrived(raised.value) is not has_effect
    if isinstance(raised.value, ChatMigrated):
        assert raised.value.new_chat_id == -100


@pytest.mark.parametrize(
    ("result", "expected"),
    [([{"update_id": 7}, {"update_id": "8"}, {}, "x", 5], [{"update_id": 7}]), ([], []), (True, None), ({}, None)],
)
async def test_only_updates_that_can_be_confirmed_are_taken(result: object, expected: object) -> None:
    answer = said(200, {"ok": True, "result": result})
    async with server(answering(answer)) as listening, opened(api(f"http://127.0.0.1:{listening.port}/bot")) as bot:
        if expected is None:
            with pytest.raises(TelegramError):
                await bot.raw_updates(1)
        else:
            assert await bot.raw_updates(1) == expected


@pytest.mark.parametrize(("wait", "seconds"), [(-1, 0.0), (1.5, 1.5), (10**12, 86_400.0), ("4", 4.0)])
async def test_a_wait_that_makes_no_sense_is_bounded(wait: object, seconds: float) -> None:
    answer = said(429, refusal(429, "slow", parameters={"retry_after": wait}))
    async with server(answering(answer)) as listening, opened(api(f"http://127.0.0.1:{listening.port}/bot")) as bot:
        with pytest.raises(RetryAfter) as raised:
            await bot.say(5, "在")
    assert retry_seconds(raised.value) == seconds
