"""A channel of somebody else is a channel everywhere, and no list outside this folder names it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.channels import registry
from console import search
from dialogue.core import people
from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings
from dialogue.storage.clock import utc_now
from mindglm import up
from mindglm.doctor import host, rounds, variables, words
from mindglm.doctor.findings import Patient
from tests.bot.contract.pigeon.loft import Loft
from tests.builders import Rooms
from worker.settings import WorkerSettings

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


def examined() -> dict[str, str]:
    """What the doctor says of the channel in English, by key."""
    (examination,) = (one for one in rounds.examinations() if one.name == "pigeon")
    spoken = words.load("en")
    assert spoken.title("pigeon") == "Pigeon post"
    patient = Patient(bot=DialogueSettings(), worker=WorkerSettings())
    return {finding.key: spoken.says(finding) for finding in examination.examine(patient)}


@pytest.mark.usefixtures("_installed")
async def test_the_doctor_examines_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined() == {"pigeon_off": "Off: MINDGLM_PIGEON_LOFT is not set."}
    loft = Loft()
    await loft.open()
    monkeypatch.setenv("MINDGLM_PIGEON_LOFT", loft.endpoint)
    found = await asyncio.to_thread(examined)
    assert found["pigeon"] == f"The loft at {loft.endpoint} answers."
    assert "adapter_never_ran" in found
    await loft.close()
    assert "pigeon_away" in await asyncio.to_thread(examined)


@pytest.mark.usefixtures("_installed")
def test_the_doctor_knows_its_settings_and_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = Patient(bot=DialogueSettings(), worker=WorkerSettings())
    monkeypatch.setenv("MINDGLM_PIGEON_LOFF", "x")
    (typo,) = (one for one in variables.examine(patient) if one.key == "variable_unknown")
    assert typo.values["likely"] == "MINDGLM_PIGEON_LOFT"
    (software,) = (one for one in host.examine_software(patient) if one.key == "versions")
    assert "mindglm-pigeon 1.0" in str(software.values["libraries"])


def test_its_health_can_be_asked_at_its_own_port() -> None:
    said = json.loads(mindglm("health", "pigeon", MINDGLM_METRICS_PORT="9464").stdout)
    assert said["url"] == "http://127.0.0.1:9504/readyz"


@pytest.mark.usefixtures("_installed")
def test_the_others_keep_their_ports() -> None:
    expected = {"worker": 0, "telegram": 1, "wechat": 2, "console": 3, "wecom": 4, "oa": 5, "pigeon": 40}
    assert registry.metrics_offsets() == expected


@pytest.mark.usefixtures("_installed")
def test_its_people_can_be_admins() -> None:
    registry.check_accounts(DialogueSettings(admins="pigeon:ring-7,telegram:42"))
    with pytest.raises(Misconfigured, match="the number on its ring"):
        registry.check_accounts(DialogueSettings(admins="pigeon:anna"))


def test_without_it_nobody_can_be_there() -> None:
    with pytest.raises(Misconfigured, match="entry 1 must begin with one of telegram:, wechat:, wecom:, oa: as in"):
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
        person = people.locked(session, rooms.keys, channel="pigeon", user_id="ring-7", now=utc_now())
    with rooms.database.read() as session:
        assert search.person_of(session, "ring-7", registry.labels()["zh"]) == person.id
        assert search.person_of(session, "ring-7", ["telegram"]) is None
