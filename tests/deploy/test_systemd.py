"""The units for people without containers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from mindglm.commands import app
from tests.deploy.compose import ROOT, seconds
from worker.settings import WorkerSettings

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
each_unit = pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)


def test_a_worker_may_finish_the_longest_reply_before_it_is_killed() -> None:
    text = (UNITS / "mindglm-worker.service").read_text()
    shutdown_seconds = float(re.findall(r"MINDGLM_SHUTDOWN_SECONDS=(\d+)", text)[0])
    assert WorkerSettings.model_fields["turn_seconds"].default < shutdown_seconds
    assert seconds(re.findall(r"TimeoutStopSec=(\S+)", text)[0]) >= shutdown_seconds + 20


@each_unit
def test_a_unit_starts_what_exists(unit: Path) -> None:
    command = re.findall(r"^ExecStart=/opt/mindglm/bin/mindglm (\S+)", unit.read_text(), re.MULTILINE)
    assert set(command) <= set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group


@pytest.mark.e2e
def test_systemd_understands_them_and_finds_them_well_shut(tmp_path: Path) -> None:
    """Only what they start is exchanged, because it is not installed here."""
    assert shutil.which("systemd-analyze"), "the end-to-end tests need Debian's systemd"
    units = tmp_path / "units"
    shutil.copytree(UNITS, units)
    for unit in units.glob("*.service"):
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    environment = {"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"}
    names = [unit.name for unit in SERVICES]
    verify = ["systemd-analyze", "verify", "--man=no", *names, "mindglm.target"]
    done = subprocess.run(verify, cwd=units, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    secure = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", *names]
    done = subprocess.run(secure, cwd=units, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, re.findall("Overall.*", done.stdout)
