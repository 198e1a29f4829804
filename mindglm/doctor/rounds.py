"""Runs all checks in parallel, each with a timeout; a check that hangs becomes a finding."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from rich.console import Console

from bot.channels import registry
from bot.channels.findings import CheckResult, Grade, fail
from dialogue.errors import DialogueError, Misconfigured
from dialogue.process.settings import DialogueSettings
from mindglm.doctor import duties, host, models, platforms, stores, variables, words
from mindglm.doctor.findings import Examination, Patient
from mindglm.doctor.words import Explanations
from worker.settings import WorkerSettings

_PATIENCE_SECONDS: Final = 45.0
_MARKS: Final = {Grade.OK: "[green]✓[/]", Grade.NOTE: "[dim]·[/]", Grade.WARN: "[yellow]![/]", Grade.FAIL: "[red]✗[/]"}
_WORSE: Final = (Grade.OK, Grade.NOTE, Grade.WARN, Grade.FAIL)
_NO_ENDING: Final = 0.05


def examinations() -> list[Examination]:
    """Every one, in the order in which they are told."""
    return [
        Examination("settings", variables.examine),
        Examination("software", host.examine_software),
        Examination("home", host.examine_home),
        Examination("database", stores.examine_database),
        Examination("key", stores.examine_key),
        Examination("broker", stores.examine_broker),
        Examination("model", models.examine),
        *platforms.examinations(),
        Examination("care", duties.examine),
        Examination("admins", stores.examine_admins),
        Examination("escalation", stores.examine_escalation),
        Examination("processes", stores.examine_processes),
    ]


def run(*, is_json: bool) -> int:
    """Run the checks and print the findings; returns 1 if something does not work, else 0."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        patient = Patient(bot=DialogueSettings.read(), worker=WorkerSettings.read())
        registry.check_accounts(patient.bot)
    except Misconfigured as error:
        spoken = words.load(_locale_of_the_environment())
        found = iter([("settings", [fail("settings_wrong", error=error)])])
    else:
        spoken = words.load(patient.bot.locale)
        found = examine(patient)
    return _print_json(found, spoken) if is_json else _print(found, spoken)


def examine(
    patient: Patient, *, patience_seconds: float = _PATIENCE_SECONDS
) -> Iterator[tuple[str, list[CheckResult]]]:
    """What each examination found, in their order."""
    deadline = time.monotonic() + patience_seconds
    visits = [_Visit(examination, patient) for examination in examinations()]
    for visit in visits:
        visit.start()
    for visit in visits:
        yield visit.name, visit.wait(deadline)


class _Visit:
    """One check in a thread, abandoned after its timeout."""

    def __init__(self, examination: Examination, patient: Patient) -> None:
        self.name = examination.name
        self._findings: list[CheckResult] = []
        self._thread = threading.Thread(target=self._run, args=(examination.examine, patient), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, deadline: float) -> list[CheckResult]:
        self._thread.join(max(_NO_ENDING, deadline - time.monotonic()))
        findings = list(self._findings)
        return [*findings, fail("took_too_long")] if self._thread.is_alive() else findings

    def _run(self, examine: Callable[[Patient], Iterator[CheckResult]], patient: Patient) -> None:
        try:
            for finding in examine(patient):
                self._findings.append(finding)
        except DialogueError as error:
            self._findings.append(fail("trouble", error=error))
        except Exception as error:  # noqa: BLE001 - the outermost loop: whatever breaks is told, the others go on
            self._findings.append(fail("broke", error=type(error).__name__))


def _print(found: Iterator[tuple[str, list[CheckResult]]], spoken: Explanations) -> int:
    console = Console(highlight=False, soft_wrap=True)
    worst = Grade.OK
    for check, findings in found:
        console.print(f"[bold]{spoken.title(check)}[/]")
        for finding in findings:
            worst = _worse(worst, finding.grade)
            console.print(f"  {_MARKS[finding.grade]} ", end="")
            console.print(spoken.says(finding), markup=False)
            if mend := spoken.mend(finding):
                console.print(f"    → {mend}", markup=False, style="dim")
    console.print(f"\n{spoken.verdict(worst)}", markup=False)
    return _end(worst)


def _print_json(found: Iterator[tuple[str, list[CheckResult]]], spoken: Explanations) -> int:
    rows = [(check, finding) for check, findings in found for finding in findings]
    worst = Grade.OK
    for _, finding in rows:
        worst = _worse(worst, finding.grade)
    told = [
        {
            "check": check,
            "grade": finding.grade,
            "key": finding.key,
            "says": spoken.says(finding),
            "mend": spoken.mend(finding),
            "values": {name: str(value) for name, value in finding.values.items()},
        }
        for check, finding in rows
    ]
    sys.stdout.write(json.dumps({"grade": worst, "findings": told}, ensure_ascii=False, indent=2) + "\n")
    return _end(worst)


def _worse(one: Grade, other: Grade) -> Grade:
    return max(one, other, key=_WORSE.index)


def _end(worst: Grade) -> int:
    return 1 if worst is Grade.FAIL else 0


def _locale_of_the_environment() -> str:
    return "en" if os.environ.get("MINDGLM_LOCALE", "").lower() == "en" else "zh"
