"""The line comes back whatever happens to it, and says what it cannot mend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from structlog.testing import capture_logs

from bot.channels.wechat.connection import Connection
from bot.channels.wechat.puppet import Event, Happening, LineBroken, Puppet, TokenRefused
from tests.bot.wechat.gateway import TOKEN, Gateway
from tests.patience import until


class Heard:
    """What a line told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.alive_count = 0

    def note(self, event: Event) -> None:
        self.events.append(event)

    def alive(self) -> None:
        self.alive_count += 1

    def count(self, kind: Happening) -> int:
        return sum(event.kind is kind for event in self.events)


@asynccontextmanager
async def running(
    gateway: Gateway, *, token: str = TOKEN, probe_seconds: float = 20
) -> AsyncIterator[tuple[Connection, Heard, "asyncio.Task[None]"]]:
    heard = Heard()
    line = Connection(
        partial(Puppet, gateway.endpoint, token), heard.note, on_alive=heard.alive, probe_seconds=probe_seconds
    )
    task = asyncio.create_task(line.run())
    try:
        yield line, heard, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_connects_without_asking_the_service_to_stop(gateway: Gateway) -> None:
    async with running(gateway) as (line, heard, _):
        await line.wait_until_up()
        await until(lambda: heard.count(Happening.LOGIN))
        assert line.is_logged_in
    assert "Stop" not in gateway.calls


def restart(gateway: Gateway) -> None:
    gateway.kill()
    gateway.start()


@pytest.mark.parametrize("breaks", [Gateway.end_stream, restart])
async def test_it_connects_again_when_the_stream_ends(gateway: Gateway, breaks: Callable[[Gateway], object]) -> None:
    async with running(gateway) as (_, heard, task):
        for times in (1, 2, 3):
            await until(lambda times=times: heard.count(Happening.LOGIN) >= times)  # type: ignore[misc]  # a default binds it
            await asyncio.to_thread(breaks, gateway)
        await until(lambda: heard.count(Happening.LOGIN) == 4)
        assert not task.done()


async def test_it_waits_for_a_service_that_is_not_there_yet(gateway: Gateway) -> None:
    gateway.kill()
    async with running(gateway) as (line, _, task):
        with capture_logs() as logs:
            await until(lambda: [entry["event"] for entry in logs].count("wechat_connection_lost") == 2)
        assert not task.done()
        with pytest.raises(LineBroken) as caught:
            _ = line.puppet
        assert caught.value.never_left
        gateway.start()
        async with asyncio.timeout(10):
            await line.wait_until_up()


async def test_a_refused_token_is_final(gateway: Gateway) -> None:
    async with running(gateway, token="another") as (_, _, task):
        with pytest.raises(TokenRefused, match="MINDGLM_WECHAT_TOKEN"):
            await asyncio.wait_for(task, 10)


async def test_a_second_reader_is_told_and_takes_over_when_the_first_one_ends(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(gateway) as (first, _, first_task):
        await first.wait_until_up()
        async with running(gateway) as (second, _, second_task):
            await until(lambda: gateway.calls.count("Start") >= 3)
            assert not second_task.done()
            assert "wechat_stream_taken" in capsys.readouterr().out
            first_task.cancel()
            async with asyncio.timeout(10):
                await second.wait_until_up()


async def test_a_stream_that_fell_silent_is_left(gateway: Gateway) -> None:
    async with running(gateway, probe_seconds=0.3) as (_, heard, _):
        await until(lambda: heard.count(Happening.DONG))
        gateway.is_deaf = True
        await until(lambda: gateway.calls.count("Start") == 2)


async def test_signs_of_life_are_passed_on(gateway: Gateway) -> None:
    async with running(gateway, probe_seconds=0.1) as (_, heard, _):
        await until(lambda: heard.alive_count >= 3)


async def test_a_probe_that_swallows_a_cancellation_does_not_hold_up_the_next_connection(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = 0

    async def swallows_one(_self: Connection, _puppet: Puppet) -> None:
        nonlocal began
        began += 1
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    monkeypatch.setattr(Connection, "_probe", swallows_one)
    async with running(gateway) as (_, heard, _):
        await until(lambda: heard.count(Happening.LOGIN) == 1)
        await asyncio.to_thread(gateway.end_stream)
        await until(lambda: heard.count(Happening.LOGIN) == 2)
    assert began >= 2
