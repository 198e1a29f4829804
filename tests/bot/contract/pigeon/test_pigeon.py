"""A channel of somebody else is a channel everywhere, and no list outside this folder names it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.channels import registry
from console import search
from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings
from dialogue.storage.clock import utc_now
from mindglm import up
from tests.bot.contract.pigeon.loft import Loft
from tests.builders import Rooms

ROOT = Path(__file__).parents[4]
INSTALLED = Path(__file__).parent / "installed"


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(INSTALLED)
    registry.channels.cache_clear()
    yield
    registry.channels.cache_clear()


def mindglm(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mindglm", *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{INSTALLED}", "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def test_the_command_line_has_it() -> None:
    assert "Listen and speak by carrier pigeon." in mindglm("--help").stdout
    said = mindglm("pigeon", "--help").stdout
    assert "Example: MINDGLM_PIGEON_LOFT=127.0.0.1:1212 mindglm pigeon" in said
    assert "--health" in said


def test_its_process_ends_with_78_when_it_is_not_switched_on() -> None:
    done = mindglm("pigeon")
    assert done.returncode == os.EX_CONFIG
    assert done.stderr.splitlines()[-1] == "mindglm pigeon: MINDGLM_PIGEON_LOFT is not set."


async def test_the_doctor_examines_it_and_knows_its_settings() -> None:
    off = json.loads(mindglm("doctor", "--json", MINDGLM_PIGEON_LOFF="x", MINDGLM_LOCALE="zh").stdout)["findings"]
    assert {"check": "pigeon", "says": "未启用：没有设置 MINDGLM_PIGEON_LOFT。"}.items() <= {
        key: value for one in off if one["check"] == "pigeon" for key, value in one.items()
    }.items()
    assert any("MINDGLM_PIGEON_LOFT" in (one["mend"] or "") for one in off if one["key"] == "variable_unknown")
    away = mindglm("doctor", "--json", MINDGLM_PIGEON_LOFT="127.0.0.1:1", MINDGLM_LOCALE="en")
    assert away.returncode == 1
    assert "The loft at 127.0.0.1:1 does not answer." in away.stdout


def test_its_health_can_be_asked_at_its_own_port() -> None:
    said = json.loads(mindglm("health", "pigeon", MINDGLM_METRICS_PORT="9464").stdout)
    assert said["url"] == "http://127.0.0.1:9504/readyz"


@pytest.mark.usefixtures("_installed")
def test_the_others_keep_their_ports() -> None:
    expected = {"worker": 0, "telegram": 1, "wechat": 2, "console": 3, "pigeon": 40}
    assert registry.metrics_offsets() == expected


@pytest.mark.usefixtures("_installed")
def test_its_people_can_be_admins() -> None:
    registry.check_accounts(DialogueSettings(admins="pigeon:ring-7,telegram:42"))
    with pytest.raises(Misconfigured, match="the number on its ring"):
        registry.check_accounts(DialogueSettings(admins="pigeon:anna"))


def test_without_it_nobody_can_be_there() -> None:
    with pytest.raises(Misconfigured, match="MINDGLM_ALLOW: entry 1 must begin with one of telegram:, wechat: as in"):
        registry.check_accounts(DialogueSettings(allow="pigeon:ring-7"))


@pytest.mark.usefixtures("_installed")
def test_up_runs_it_once_it_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert up.configured() == []
    monkeypatch.setenv("MINDGLM_PIGEON_LOFT", "127.0.0.1:1212")
    assert up.configured() == ["pigeon"]


@pytest.mark.usefixtures("_installed")
def test_the_console_finds_its_people_and_calls_it_by_its_name(rooms: Rooms) -> None:
    assert registry.labels()["zh"]["pigeon"] == "信鸽"
    with rooms.database.begin() as session:
        from dialogue.core import people

        person = people.locked(session, rooms.keys, channel="pigeon", user_id="ring-7", now=utc_now())
    with rooms.database.read() as session:
        assert search.person_of(session, "ring-7", registry.labels()["zh"]) == person.id
        assert search.person_of(session, "ring-7", ["telegram"]) is None


async def test_a_loft_that_answers_is_told(tmp_path: Path) -> None:
    loft = Loft()
    await loft.open()
    import asyncio

    done = await asyncio.to_thread(mindglm, "doctor", "--json", MINDGLM_PIGEON_LOFT=loft.endpoint, MINDGLM_LOCALE="en")
    await loft.close()
    assert f"The loft at {loft.endpoint} answers." in done.stdout
