"""The callback against a real HTTP client: what is ours is taken once it is committed, all else costs nothing."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio
import structlog

from bot.channels.oa.callback import OaCallback
from bot.channels.oa.desk import Answer, Thanks
from dialogue.errors import DatabaseUnavailable
from tests.bot.oa import wire
from tests.bot.oa.storm import OaStorm

TEXT = {
    "ToUserName": wire.ACCOUNT,
    "FromUserName": "oPerson0001",
    "CreateTime": "1796000000",
    "MsgType": "text",
    "Content": "我睡不着",
    "MsgId": "24000000000000001",
}


class Desk:
    """Where pushes are committed, and what is found to be wrong."""

    def __init__(self) -> None:
        self.taken: list[Mapping[str, str]] = []
        self.failure: Exception | None = None
        self.said: list[str] = []
        self.url = ""

    async def take(self, fields: Mapping[str, str], _hung_up: asyncio.Event) -> Answer:
        if self.failure is not None:
            raise self.failure
        self.taken.append(fields)
        return Thanks()

    def misread(self) -> None:
        self.said.append("misread")

    def in_clear(self) -> None:
        self.said.append("in_clear")

    def stale(self, _seconds: float) -> None:
        self.said.append("stale")

    def understood(self) -> None:
        """Nothing is wrong."""


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    callback = OaCallback(wire.cipher(), made, trouble=made)
    made.url = f"http://127.0.0.1:{callback.listen('127.0.0.1:0')}/oa"
    yield made
    await callback.close()


def now() -> str:
    return str(int(time.time()))


async def post(desk: Desk, body: bytes, query: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{desk.url}?{query}", content=body)


async def push(desk: Desk, *, at: str | None = None, app_id: str = wire.APP_ID) -> httpx.Response:
    encrypted = wire.encrypt(wire.document(TEXT), app_id=app_id)
    return await post(desk, wire.envelope(encrypted), wire.query(encrypted, timestamp=at or now()))


async def test_the_console_gets_its_words_back_as_they_are(desk: Desk) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{desk.url}?{wire.plain_query(timestamp=now(), echostr='5837397<b>')}")
    assert (answer.status_code, answer.content) == (200, b"5837397<b>")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_question_that_is_not_signed_is_refused(desk: Desk) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{desk.url}?signature=0&timestamp={now()}&nonce=1&echostr=x")
    assert (answer.status_code, answer.content) == (403, b"")


async def test_a_push_is_committed_and_thanked_for(desk: Desk) -> None:
    answer = await push(desk)
    assert (answer.status_code, answer.content) == (200, b"success")
    assert [{**push, "xml": ""} for push in desk.taken] == [{**TEXT, "xml": ""}]


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), TimeoutError(), ZeroDivisionError()])
async def test_what_cannot_be_committed_comes_again(desk: Desk, failure: Exception) -> None:
    desk.failure = failure
    assert (await push(desk)).status_code == 503


async def test_in_compatible_mode_only_what_is_encrypted_is_read(desk: Desk) -> None:
    encrypted = wire.encrypt(wire.document(TEXT))
    forged = "<Content><![CDATA[我没事]]></Content><MsgType>text</MsgType>"
    answer = await post(desk, wire.envelope(encrypted, beside=forged), wire.query(encrypted, timestamp=now()))
    assert answer.status_code == 200
    assert [{**push, "xml": ""} for push in desk.taken] == [{**TEXT, "xml": ""}]


async def test_what_is_pushed_in_clear_is_refused_and_said(desk: Desk) -> None:
    """The signature covers no word of it: whoever saw one may write any."""
    answer = await post(desk, wire.document(TEXT), wire.plain_query(timestamp=now(), openid="oPerson0001"))
    assert answer.status_code == 403
    assert (desk.taken, desk.said) == ([], ["in_clear"])


async def test_nobody_without_our_token_makes_us_say_anything(desk: Desk) -> None:
    assert (await post(desk, wire.document(TEXT), f"signature=0&timestamp={now()}&nonce=1")).status_code == 403
    assert desk.said == []


@pytest.mark.parametrize("shift_seconds", [-3600, 3600])
async def test_what_was_signed_long_ago_is_refused_and_said(desk: Desk, shift_seconds: int) -> None:
    answer = await push(desk, at=str(int(time.time()) + shift_seconds))
    assert answer.status_code == 403
    assert (desk.taken, desk.said) == ([], ["stale"])


async def test_what_is_signed_for_another_account_is_refused_and_said(desk: Desk) -> None:
    assert (await push(desk, app_id="wx-of-somebody-else")).status_code == 403
    assert (desk.taken, desk.said) == ([], ["misread"])


async def test_a_signature_by_another_token_is_none(desk: Desk) -> None:
    encrypted = wire.encrypt(wire.document(TEXT))
    query = wire.query(encrypted, timestamp=now(), token="another-token")
    assert (await post(desk, wire.envelope(encrypted), query)).status_code == 403
    assert (desk.taken, desk.said) == ([], [])


@pytest.mark.parametrize("query", ["", "msg_signature=0", "timestamp=%ff&nonce=%00&msg_signature=%e9"])
async def test_what_is_not_signed_is_refused(desk: Desk, query: str) -> None:
    assert (await post(desk, wire.envelope(wire.encrypt(wire.document(TEXT))), query)).status_code == 403
    assert desk.taken == []


async def test_entities_do_not_grow(desk: Desk) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'
    assert (await post(desk, bomb, wire.plain_query(timestamp=now()))).status_code == 403
    encrypted = wire.encrypt(bomb)
    assert (await post(desk, wire.envelope(encrypted), wire.query(encrypted, timestamp=now()))).status_code == 403


async def test_a_body_of_two_megabytes_is_not_read(desk: Desk) -> None:
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.post(desk.url, content=b"x" * 2_000_000)
        except httpx.TransportError:
            return  # the connection was closed before all was written
    assert answer.status_code in (400, 413)


async def test_other_pages_do_not_exist(desk: Desk) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(desk.url.replace("/oa", "/admin"))).status_code == 404
        assert (await client.get(desk.url.replace("/oa", "/healthz"))).text == "ok\n"


async def test_a_storm_of_random_bytes_and_mutated_envelopes_is_refused_and_not_logged(desk: Desk) -> None:
    """A million of them: `python -m tests.bot.oa.storm --count 1000000`."""
    storm = OaStorm(random.Random(7))
    with structlog.testing.capture_logs() as logs:
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                query, body = storm.request()
                answer = await client.post(f"{desk.url}?{query}", content=body)
                assert answer.status_code in (200, 400, 403), answer.status_code
    assert logs == []


async def test_a_connection_that_sends_nonsense_does_no_harm(desk: Desk) -> None:
    host, port = desk.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"\x16\x03\x01\x02\x00" + random.Random(1).randbytes(300))
    assert (await push(desk)).status_code == 200
