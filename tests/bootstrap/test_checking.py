"""dev.py check, test, e2e, ci and audit: what runs, in which order, and what it ends with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bootstrap.checkout import BARE, TESTS, Checkout


def test_check_runs_everything_in_order_and_ends_with_what_pytest_says(ready: Checkout) -> None:
    outcome = ready.run("check")
    assert outcome.status == 0
    assert ready.noted() == ["ruff format --check .", "ruff check .", "mypy", "lint-imports", TESTS]
    assert outcome.err.splitlines()[-1] == f"dev.py: [5/5] tests: {TESTS}"


def test_check_stops_at_the_first_failure_and_names_it(ready: Checkout) -> None:
    outcome = ready.run("check", FAKE_MYPY="2")
    assert outcome.status == 2
    assert ready.noted()[-1] == "mypy"
    assert outcome.err.splitlines()[-1] == "dev.py: types failed; passed before: format, lint"


def test_check_leaves_the_last_word_to_a_failing_pytest(ready: Checkout) -> None:
    outcome = ready.run("check", FAKE_PYTEST="1")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == f"dev.py: [5/5] tests: {TESTS}"


def test_fix_mends_and_writes_what_is_written_from_the_code(ready: Checkout) -> None:
    places = [ready.root / "tests" / f"{name}.py" for name in ("env_example", "settings_table")]
    places[0].parent.mkdir(exist_ok=True)
    for place in places:
        place.write_text(f"import os; print('{place.stem}', file=open(os.environ['FAKE_LOG'], 'a'))")
    assert ready.run("fix").status == 0
    assert ready.noted() == ["ruff check --fix .", "ruff format .", "env_example", "settings_table"]


def test_further_words_go_to_pytest(ready: Checkout) -> None:
    ready.run("test", "-k", "window")
    assert ready.noted() == ["pytest -m not e2e -k window"]


@pytest.mark.parametrize(("status", "seen"), [(0, 0), (1, 1), (5, 0)])
def test_no_end_to_end_tests_yet_is_no_failure(ready: Checkout, status: int, seen: int) -> None:
    assert ready.run("e2e", FAKE_PYTEST=str(status), PATH=_with_programs(ready)).status == seen
    assert ready.noted() == ["pytest -m e2e"]


def test_the_end_to_end_tests_bring_the_programs_that_they_need(ready: Checkout, tmp_path: Path) -> None:
    path = _programs(tmp_path / "few", "env", "bash", "id")
    outcome = ready.run("e2e", PATH=str(path))
    assert outcome.status == 1
    assert "apt-get install chromium fonts-noto-cjk nodejs npm" in outcome.err
    if os.geteuid() != 0:
        return
    (path / "apt-get").write_text('#!/usr/bin/env bash\necho "apt-get $*" >> "$FAKE_LOG"\nexit ${FAKE_APT:-0}\n')
    (path / "apt-get").chmod(0o755)
    assert ready.run("e2e", PATH=str(path)).status == 0
    install = "apt-get install -q -y --no-install-recommends chromium fonts-noto-cjk nodejs npm"
    assert ready.noted() == ["apt-get update -q", install, "pytest -m e2e"]
    assert "apt-get update failed: no reason given" in ready.run("e2e", PATH=str(path), FAKE_APT="100").err


def _with_programs(checkout: Checkout) -> str:
    """The machine's own path, before it a place where whatever the end-to-end tests need seems to be."""
    directory = checkout.root / "programs"
    directory.mkdir(exist_ok=True)
    for name in ("chromium", "node", "npm"):
        (directory / name).touch(mode=0o755)
    return f"{directory}:{BARE['PATH']}"


def _programs(directory: Path, *names: str) -> Path:
    """A place with these programs only."""
    directory.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    return directory


@pytest.mark.parametrize("variables", [{"FAKE_RUFF": "1"}, {"FAKE_PYTEST": "1"}], ids=["lint", "tests"])
def test_ci_fails_when_anything_fails(ready: Checkout, variables: dict[str, str]) -> None:
    assert _ci(ready, variables) != 0


def test_ci_checks_and_then_runs_the_end_to_end_tests(ready: Checkout) -> None:
    assert _ci(ready, {}) == 0
    assert ready.noted()[-2:] == [TESTS, "pytest -m e2e"]


def _ci(checkout: Checkout, variables: dict[str, str]) -> int:
    path = f"{Path(sys.executable).parent}:{_with_programs(checkout)}"
    environment = {**BARE, "PATH": path, "CI": "true", "FAKE_LOG": str(checkout.log), **variables}
    return subprocess.run(
        ["bash", ".ci/run"], check=False, capture_output=True, cwd=checkout.root, env=environment
    ).returncode


def test_the_bill_of_materials_has_a_file_for_each_image(ready: Checkout) -> None:
    assert ready.run("sbom").status == 0
    asked = ready.log.read_text().splitlines()
    assert [line.split("requirements/")[-1].split()[0] for line in asked] == ["bot.txt", "worker.txt", "cuda.txt"]
    assert all(" tool run " in line and "security.txt" in line for line in asked)


def test_an_audit_looks_at_every_lock_and_fails_when_it_finds_something(ready: Checkout) -> None:
    assert ready.run("audit", FAKE_UV_FAILS_AT="cuda.txt").status == 1
    assert "dev.txt" in ready.log.read_text()
