"""What watches over us in production asks for nothing that does not exist, and all that exists is explained."""

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from bot.channels.wecom.callback import Callback
from bot.health import Health
from bot.meters import BotMeters
from bot.staff.calls.escalation import Escalation
from dialogue.process.settings import DialogueSettings
from dialogue.telemetry.heartbeat import Identity
from dialogue.telemetry.instruments import Counter, Histogram, Reading, Unmeasured
from dialogue.telemetry.watch import Watch
from dialogue.upkeep.housekeeper import Housekeeper
from dialogue.upkeep.sweeper import Sweeper
from tests.fakes import FakeEngine
from tests.services import debian
from worker.meters import WorkerMeters
from worker.vllm.metrics import families

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "mindglm.json"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
OF_OTHERS = {"up", "process_resident_memory_bytes"}
NOTHING = cast("Any", None)


class Recorder(Unmeasured):
    """Remembers what was declared, as Prometheus names it, and with which labels."""

    def __init__(self) -> None:
        self.declared: dict[str, set[str]] = {}
        self.exposed: set[str] = set()

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter:
        self._note(name, labels, f"{name}_total")
        return super().counter(name, what, labels)

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> Histogram:
        self._note(name, labels, *(f"{name}_{part}" for part in ("bucket", "count", "sum")))
        return super().histogram(name, what, labels)

    def gauge(self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str] = ()) -> None:
        self._note(name, labels, name)

    def _note(self, name: str, labels: Sequence[str], *exposed: str) -> None:
        self.declared[name] = set(labels)
        self.exposed |= set(exposed)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """All that any process declares."""
    recorder = Recorder()
    BotMeters(recorder)
    WorkerMeters(recorder).watch(FakeEngine())
    Housekeeper(database=NOTHING, retention_days=30, instruments=recorder)
    Callback(NOTHING, NOTHING, instruments=recorder)
    Escalation(database=NOTHING, office=NOTHING, ways=NOTHING, instruments=recorder)
    Health(home=Path(), channel="telegram", database=NOTHING, ask_pending=NOTHING, instruments=recorder)
    Sweeper(
        database=NOTHING,
        keys=NOTHING,
        apology="",
        max_attempts=3,
        instruments=recorder,
    )
    Watch(
        database=NOTHING,
        me=Identity(kind="worker", name="worker"),
        figures=dict,
        checks={},
        instruments=recorder,
        settings=DialogueSettings(),
        metrics_offset=0,
    )
    return recorder


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [one["expr"] for panel in panels() for one in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_every_figure_that_is_asked_for_exists(expression: str, recorder: Recorder) -> None:
    named = set(re.findall(r"\b((?:mindglm|process)_\w+|up)\b(?=[{\[)\s]|$)", expression))
    assert named, expression
    assert named <= recorder.exposed | OF_OTHERS


def test_every_figure_is_explained_in_the_operators_book_with_its_labels(recorder: Recorder) -> None:
    explained = {
        name: {label.strip() for label in labels.split(",") if label.strip()}
        for name, labels in re.findall(r"(?m)^\| `(mindglm_\w+)` \|([^|]*)\|", OPERATIONS)
    }
    of_servers = {family.name: {"server"} for family in families(())}
    assert explained == recorder.declared | of_servers


def test_no_label_can_carry_an_id(recorder: Recorder) -> None:
    labels = set().union(*recorder.declared.values())
    assert labels == {"channel", "check", "loop", "model", "outcome", "prompt", "reason", "state", "tier"}


def test_every_alarm_says_what_to_do() -> None:
    headings = set(re.findall(r"(?m)^### (\w+)$", OPERATIONS))
    assert headings == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert f"**{rule['labels']['severity']}.**" in OPERATIONS.split(f"### {rule['alert']}\n")[1][:20]


def test_the_dashboard_is_whole() -> None:
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]]
    assert len(ids) == len(set(ids))
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in panels()]
    for number, (x, y, w, h) in enumerate(places):
        assert x + w <= 24
        for other_x, other_y, other_w, other_h in places[:number]:
            assert x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y


@pytest.mark.e2e
def test_promtool_finds_the_rules_valid_and_sees_them_ring(tmp_path: Path) -> None:
    promtool = debian.program("promtool", package="prometheus", directory=tmp_path)
    checks: list[list[str | Path]] = [
        ["check", "config", RULES.parent / "prometheus.yaml"],
        ["check", "config", RULES.parent / "compose.yaml"],
        ["test", "rules", Path(__file__).parent / "alarms.yaml"],
    ]
    for words in checks:
        done = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
