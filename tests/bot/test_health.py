"""What the file of an adapter says, and where it begins to say that something is wrong."""

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.health import DEAF_SECONDS, OVERDUE_SECONDS, STUCK_SECONDS, Health, Listening, last_report
from dialogue.process.settings import DialogueSettings
from mindglm import adapter_process
from tests.builders import CHANNEL, FakeClock, Rooms
from tests.patience import until


async def nothing_pending() -> int | None:
    return 0


def health(rooms: Rooms, home: Path) -> Health:
    return Health(home=home, channel=CHANNEL, database=rooms.database, ask_pending=nothing_pending, clock=rooms.clock)


def troubles(home: Path, clock: FakeClock) -> list[str]:
    report = last_report(home, CHANNEL)
    assert report is not None
    return report.troubles(now=clock())


async def test_an_adapter_that_hears_and_delivers_is_well(rooms: Rooms, tmp_path: Path) -> None:
    watched = health(rooms, tmp_path)
    assert watched.deafness() == "test has not been heard yet"
    watched.heard()
    await watched.write()
    assert troubles(tmp_path, rooms.clock) == []
    assert watched.deafness() is None


async def test_deaf_is_who_heard_nothing_for_too_long(rooms: Rooms, tmp_path: Path) -> None:
    watched = health(rooms, tmp_path)
    watched.heard()
    rooms.clock.tick(DEAF_SECONDS)
    await watched.write()
    assert troubles(tmp_path, rooms.clock) == []
    assert watched.deafness() is None
    rooms.clock.tick(1)
    await watched.write()
    assert troubles(tmp_path, rooms.clock) == ["test has not been heard for 91 s"]
    assert watched.deafness() == "test has not been heard for 91 s"


async def test_a_file_that_is_not_written_any_more_tells_that_its_process_is_gone(rooms: Rooms, tmp_path: Path) -> None:
    watched = health(rooms, tmp_path)
    watched.heard()
    await watched.write()
    rooms.clock.tick(STUCK_SECONDS + 1)
    assert troubles(tmp_path, rooms.clock) == ["the test adapter has not reported for 31 s"]


async def test_a_text_that_is_owed_for_too_long_is_told(rooms: Rooms, tmp_path: Path) -> None:
    watched = health(rooms, tmp_path)
    rooms.answered("在吗", "我在听")
    rooms.clock.tick(OVERDUE_SECONDS + 1)
    watched.heard()
    await watched.write()
    assert troubles(tmp_path, rooms.clock) == ["a text has been waiting to be sent for 301 s"]


@pytest.mark.parametrize("channel", ["telegram", "wechat"])
def test_health_is_asked_by_command_and_is_bad_where_nothing_ran(
    channel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapter_process.report(channel, DialogueSettings()) == 1
    assert json.loads(capsys.readouterr().out) == {
        "report": None,
        "troubles": [f"no {channel} adapter has run in this home"],
    }


async def test_health_that_is_good_is_status_0(rooms: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    settings = DialogueSettings()
    watched = Health(home=settings.home, channel="wechat", database=rooms.database, ask_pending=nothing_pending)
    watched.heard()
    await watched.write()
    assert adapter_process.report("wechat", settings) == 0
    assert json.loads(capsys.readouterr().out)["troubles"] == []


async def test_a_report_that_cannot_be_written_does_not_end_the_adapter(rooms: Rooms, tmp_path: Path) -> None:
    (tmp_path / "health").write_text("in the way")
    watched = health(rooms, tmp_path)
    with capture_logs() as logs:
        running = asyncio.create_task(watched.run())
        await until(lambda: logs)
    assert [log["event"] for log in logs] == ["health_not_written"]
    assert not running.done()
    running.cancel()


async def test_a_question_to_the_platform_that_breaks_does_not_end_the_adapter(rooms: Rooms, tmp_path: Path) -> None:
    async def break_down() -> int | None:
        raise ValueError

    watched = Health(home=tmp_path, channel=CHANNEL, database=rooms.database, ask_pending=break_down, clock=rooms.clock)
    with capture_logs() as logs:
        running = asyncio.create_task(watched.run())
        await until(lambda: logs)
    assert [log["event"] for log in logs] == ["health_failed"]
    assert not running.done()
    running.cancel()


class Platform:
    """Says how many updates it holds; None: it cannot be asked."""

    def __init__(self, pending: int | None) -> None:
        self.pending = pending

    async def ask(self) -> int | None:
        return self.pending


def called(rooms: Rooms, home: Path, platform: Platform) -> Health:
    watched = Health(home=home, channel=CHANNEL, database=rooms.database, ask_pending=platform.ask, clock=rooms.clock)
    watched.listening = Listening.PUSHED
    return watched


async def hours(rooms: Rooms, watched: Health, minutes: int = 180) -> None:
    for _ in range(minutes):
        await watched.write()
        rooms.clock.tick(60)


async def test_a_channel_that_is_called_is_not_deaf_because_nobody_writes(rooms: Rooms, tmp_path: Path) -> None:
    watched = called(rooms, tmp_path, Platform(None))
    await hours(rooms, watched)
    assert watched.deafness() is None
    assert watched.figures()["is_deaf"] is False
    await watched.write()
    assert troubles(tmp_path, rooms.clock) == []


async def test_a_channel_that_is_called_is_deaf_when_the_platform_cannot_deliver(rooms: Rooms, tmp_path: Path) -> None:
    platform = Platform(0)
    watched = called(rooms, tmp_path, platform)
    await hours(rooms, watched)
    assert watched.deafness() is None
    platform.pending = 3
    await hours(rooms, watched, minutes=3)
    assert watched.deafness() == "test has not been heard for 240 s"
    watched.heard()
    assert watched.deafness() is None


async def test_a_channel_that_is_called_is_deaf_when_the_platform_answers_no_more(rooms: Rooms, tmp_path: Path) -> None:
    platform = Platform(0)
    watched = called(rooms, tmp_path, platform)
    await watched.write()
    platform.pending = None
    await hours(rooms, watched, minutes=3)
    assert watched.deafness() is not None
