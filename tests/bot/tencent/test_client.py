"""The client of the API against a real server: what it sends, and that no error and no log holds an address."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bot.channels.tencent.client import JsonClient
from bot.channels.tencent.errors import Unreachable
from dialogue.errors import Misconfigured
from tests.bot.telegram.http import Answer, Dropped, serve
from tests.services.listening import ListeningServer

SECRET = "secret-that-no-log-may-show"


class Platform:
    """Answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[Answer | None] = []
        self.server: ListeningServer

    async def answer(self, path: str, fields: dict[str, Any]) -> Answer:
        self.came.append((path, fields))
        answer = self.answers.pop(0) if self.answers else Answer(200, b'{"errcode":0}')
        if answer is None:
            raise Dropped
        return answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/cgi-bin/"


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Platform]:
    made = Platform()
    made.server = await serve(made.answer)
    yield made
    await made.server.close()


@pytest_asyncio.fixture
async def client(platform: Platform) -> AsyncIterator[JsonClient]:
    made = JsonClient(platform.url, max_at_once=2)
    yield made
    await made.close()


async def test_words_files_and_questions(client: JsonClient, platform: Platform) -> None:
    assert await client.ask("a/b", {"access_token": "T&"}, fields={"x": "你好"}, seconds=5) == {"errcode": 0}
    await client.ask("gettoken", {"corpid": "ww1"}, seconds=5)
    await client.ask("media/upload", {"type": "file"}, files={"media": ("a.zip", b"PK\x00")}, seconds=5)
    assert platform.came == [
        ("/cgi-bin/a/b", {"access_token": "T&", "x": "你好"}),
        ("/cgi-bin/gettoken", {"corpid": "ww1"}),
        ("/cgi-bin/media/upload", {"type": "file", "media": b"PK\x00"}),
    ]


@pytest.mark.parametrize(
    "answer", [None, Answer(500, b"{}"), Answer(302, b"{}"), Answer(200, b"<html>"), Answer(200, b"[]")]
)
async def test_what_is_no_answer_is_told_without_the_address(
    client: JsonClient, platform: Platform, answer: Answer | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    platform.answers = [answer]
    with pytest.raises(Unreachable) as raised:
        await client.ask("gettoken", {"corpsecret": SECRET}, seconds=5)
    assert not raised.value.never_arrived
    assert SECRET not in str(raised.value) + repr(raised.value.__cause__) + caplog.text


async def test_where_nobody_is() -> None:
    client = JsonClient("http://127.0.0.1:1/cgi-bin", max_at_once=1)
    with pytest.raises(Unreachable) as raised:
        await client.ask("gettoken", {}, seconds=1)
    assert raised.value.never_arrived
    await client.close()


@pytest.mark.parametrize("url", ["http://[broken", "ftp://x/cgi-bin", "qyapi.weixin.qq.com/cgi-bin", "https://", ""])
def test_what_is_no_address_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(Misconfigured):
        JsonClient(url, max_at_once=1)


async def test_headers_that_are_none_are_not_logged_with_the_address(caplog: pytest.LogCaptureFixture) -> None:
    """The library warns of them, and names what was asked."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.WARNING)

    async def answer(_path: str, _fields: dict[str, Any]) -> Answer:
        return Answer(200, b"{}", "application/json\r\nno header at all")

    server = await serve(answer)
    client = JsonClient(f"http://127.0.0.1:{server.port}", max_at_once=1)
    try:
        await client.ask("gettoken", {"corpsecret": SECRET}, seconds=0.3)
    except Unreachable:
        pass
    finally:
        await client.close()
        await server.close()
        logging.getLogger("urllib3").setLevel(logging.NOTSET)
    assert SECRET not in caplog.text


async def test_the_proxy_of_the_environment_is_used(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://somebody:p%40ssword@127.0.0.1:{platform.server.port}")
    monkeypatch.setenv("no_proxy", "")
    client = JsonClient("http://qyapi.example/cgi-bin", max_at_once=1)
    assert await client.ask("gettoken", {}, seconds=5) == {"errcode": 0}
    await client.close()
    ((path, _fields),) = platform.came
    assert path == "/cgi-bin/gettoken"
