"""The callback against a real HTTP client: what is ours is committed and answered, everything else costs nothing."""

import random
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import structlog

from bot.channels.wecom.callback import Callback
from bot.channels.wecom.notices import Notice, SomethingCame
from dialogue.errors import DatabaseUnavailable
from tests.bot.wecom import wire
from tests.bot.wecom.storm import Storm


class Desk:
    """Where notices are committed."""

    def __init__(self) -> None:
        self.taken: list[Notice] = []
        self.is_away = False
        self.url = ""

    async def take(self, notice: Notice) -> None:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.taken.append(notice)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    callback = Callback(
        wire.cipher(),
        made.take,
    )
    made.url = f"http://127.0.0.1:{callback.listen('127.0.0.1:0')}/wecom"
    yield made
    await callback.close()


async def post(desk: Desk, body: bytes, query: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{desk.url}?{query}", content=body)


async def test_the_console_is_answered_with_the_decrypted_words_and_nothing_else(desk: Desk) -> None:
    encrypted = wire.encrypt(b"1616140317555161061")
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{desk.url}?{wire.query(encrypted, echostr=encrypted)}")
    assert (answer.status_code, answer.content) == (200, b"1616140317555161061")


async def test_a_notice_is_committed_and_answered(desk: Desk) -> None:
    encrypted = wire.encrypt(wire.notice("wk1", "ENC1", at=1))
    answer = await post(desk, wire.envelope(encrypted), wire.query(encrypted))
    assert (answer.status_code, answer.content) == (200, b"success")
    assert desk.taken == [SomethingCame(account="wk1", pull_token="ENC1")]


async def test_without_the_database_it_is_not_answered_so_that_it_comes_again(desk: Desk) -> None:
    desk.is_away = True
    encrypted = wire.encrypt(wire.notice("wk1", "ENC1", at=1))
    assert (await post(desk, wire.envelope(encrypted), wire.query(encrypted))).status_code == 503


@pytest.mark.parametrize("query", ["", "msg_signature=0", "timestamp=%ff&nonce=%00&msg_signature=%e9"])
async def test_what_is_not_signed_is_refused(desk: Desk, query: str) -> None:
    encrypted = wire.encrypt(wire.notice("wk1", "ENC1", at=1))
    assert (await post(desk, wire.envelope(encrypted), query)).status_code == 403
    assert desk.taken == []


async def test_what_is_signed_for_another_organisation_is_refused(desk: Desk) -> None:
    encrypted = wire.encrypt(wire.notice("wk1", "ENC1", at=1), corp_id="ww-somebody-else")
    assert (await post(desk, wire.envelope(encrypted), wire.query(encrypted))).status_code == 403


async def test_a_body_beyond_all_notices_is_not_read(desk: Desk) -> None:
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.post(desk.url, content=b"x" * 1_000_000)
        except httpx.TransportError:
            return  # the connection was closed before all was written
    assert answer.status_code in (400, 413)


async def test_other_pages_do_not_exist(desk: Desk) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(desk.url.replace("/wecom", "/admin"))).status_code == 404
        assert (await client.get(desk.url.replace("/wecom", "/healthz"))).text == "ok\n"


async def test_a_storm_of_random_bytes_and_mutated_envelopes_is_refused_and_not_logged(desk: Desk) -> None:
    """A million of them: `python -m tests.bot.wecom.storm --count 1000000`."""
    storm = Storm(random.Random(7))
    with structlog.testing.capture_logs() as logs:
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                query, body = storm.request()
                answer = await client.post(f"{desk.url}?{query}", content=body)
                assert answer.status_code in (200, 400, 403), answer.status_code
    assert logs == []
    assert all(not isinstance(notice, SomethingCame) or notice.account == "wk1" for notice in desk.taken)


async def test_a_connection_that_sends_nonsense_does_no_harm(desk: Desk) -> None:
    host, port = desk.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"\x16\x03\x01\x02\x00" + random.Random(1).randbytes(300))
    encrypted = wire.encrypt(wire.notice("wk1", "ENC1", at=1))
    assert (await post(desk, wire.envelope(encrypted), wire.query(encrypted))).status_code == 200
