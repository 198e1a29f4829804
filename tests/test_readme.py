"""Every command of the READMEs is run by a test: which one stands here, and one that no test runs fails.

What cannot be run in a test (containers, a real token) stands beside the closest thing that is.
"""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from dialogue.storage.vault import MasterKeys

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh.md")
PROGRAMS = ("python3 ", "python ", "mindglm ", "celery ", "docker ", "pip ", "sh ", "printf ", "export ")

PREPARES = "tests/bootstrap/test_preparing.py::test_the_first_chat_prepares_the_runtime_and_then_becomes_the_product"
PASSES_ON = "tests/bootstrap/test_preparing.py::test_the_product_runs_where_its_caller_stands_and_finds_its_packages"
A_PIPE = "tests/mindglm/test_chat.py::test_every_line_of_a_pipe_is_answered_in_order_and_nothing_else_is_said"
UP = "tests/mindglm/test_up_channels.py::test_with_an_endpoint_and_a_token_people_on_wechat_are_answered"
REHEARSAL = "tests/deploy/test_rehearsal.py::test_the_services_of_compose_answer_a_person_and_stop_in_peace"
WORKER = "tests/road/test_order.py::test_two_workers_answer_forty_people_once_each_and_in_order"

RUN_BY: dict[str, tuple[str, ...]] = {
    "python3 dev.py chat": (PREPARES, A_PIPE),
    r"printf '你好\n' | python3 dev.py chat": (PREPARES, A_PIPE),
    "python3 dev.py test": (
        "tests/bootstrap/test_preparing.py::test_tests_need_the_development_lock_and_bring_the_product_along",
        "tests/bootstrap/test_checking.py::test_further_words_go_to_pytest",
    ),
    "python3 dev.py up": (PASSES_ON, UP),
    "python3 dev.py COMMAND": (PASSES_ON,),
    "python3 dev.py check": (
        "tests/bootstrap/test_checking.py::test_check_runs_everything_in_order_and_ends_with_what_pytest_says",
    ),
    "python3 dev.py fix": (
        "tests/bootstrap/test_checking.py::test_fix_mends_and_writes_what_is_written_from_the_code",
    ),
    "python3 dev.py e2e": (
        "tests/bootstrap/test_checking.py::test_the_end_to_end_tests_bring_the_programs_that_they_need",
    ),
    "export MINDGLM_TELEGRAM_TOKEN=…": (
        "tests/test_readme.py::test_settings_that_are_named_exist",
        "tests/bot/telegram/test_conversation.py::test_words_are_answered_with_the_conversation_so_far",
    ),
    "export MINDGLM_ADMINS=telegram:…": (
        "tests/test_readme.py::test_settings_that_are_named_exist",
        "tests/bot/telegram/test_admins.py::test_an_alarm_leads_to_a_takeover_and_back",
    ),
    "sh deploy/prepare.sh": ("tests/deploy/test_prepare.py::test_what_it_makes_is_good_for_use",),
    "docker compose up --detach --build": (
        "tests/deploy/test_compose.py::test_it_fits_the_schema_of_compose",
        "tests/deploy/test_dockerfile.py::test_the_linter_finds_nothing",
        REHEARSAL,
    ),
    "pip install '.[local,postgres]'": (
        "tests/deploy/test_wheel.py::test_it_installs_its_commands",
        "tests/test_readme.py::test_extras_that_are_installed_exist",
    ),
    "celery -A worker worker": (WORKER,),
    "mindglm chat": (A_PIPE,),
    "mindglm up": (UP,),
    "mindglm telegram": (REHEARSAL,),
    "mindglm wecom": ("tests/bot/wecom/test_two_adapters.py::test_a_bad_hour_in_small",),
    "mindglm oa": ("tests/bot/oa/test_bad_hour.py::test_a_bad_hour_in_small",),
    "mindglm wechat": (
        "tests/bot/wechat/test_command.py::test_it_stays_while_the_gateway_comes_and_goes_and_ends_when_it_is_told_to",
    ),
    "mindglm worker": (REHEARSAL, "tests/bench/test_load.py::test_the_road_is_measured_for_one_and_for_several"),
    "mindglm console": (
        "tests/console/e2e/test_a_counsellors_day.py::test_from_the_link_on_the_terminal_to_a_staff_of_three",
    ),
    "mindglm doctor": ("tests/mindglm/test_doctor.py::test_with_nothing_configured_all_is_well_and_nothing_is_made",),
    "mindglm health PROCESS": (
        "tests/mindglm/test_metrics.py::test_what_happened_can_be_read_at_each_process_and_names_nobody",
    ),
    "mindglm migrate": ("tests/deploy/test_wheel.py::test_the_migrations_are_found_in_it", REHEARSAL),
    "mindglm key": ("tests/test_readme.py::test_a_new_key_is_one",),
    "mindglm admin …": (
        "tests/mindglm/test_admin.py::test_without_a_broker_it_works_and_stdout_holds_nothing_but_the_answer",
    ),
    "mindglm model …": ("tests/worker/test_model_commands.py::test_check_prints_memory_speed_and_a_conversation",),
    "mindglm train …": ("tests/mindglm/test_train.py::test_from_published_dialogues_to_a_small_model",),
    "python -m bench.picture": ("tests/bench/test_picture.py::test_the_picture_shows_what_was_really_said",),
    "python -m bench.road": ("tests/bench/test_load.py::test_the_road_is_measured_for_one_and_for_several",),
    "python -m tests.chaos": (
        "tests/chaos/test_chaos.py::test_whatever_breaks_everybody_is_answered_once_in_order_and_nobody_elses_words",
        "tests/test_readme.py::test_programs_of_the_tests_explain_themselves",
    ),
    "python -m tests.fuzz": ("tests/fuzz/test_fuzz.py::test_the_command_prints_a_table_and_ends_well",),
}


def commands(name: str) -> set[str]:
    """Those of its blocks and those within its sentences, in one spelling for both languages."""
    text = (ROOT / name).read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = {*lines, *(words for words in inline if words.startswith(PROGRAMS))}
    return {command.replace("命令", "COMMAND") for command in found if command.strip()}


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_run_by_a_test(readme: str) -> None:
    assert commands(readme) == set(RUN_BY)


@pytest.mark.parametrize("name", sorted({name for names in RUN_BY.values() for name in names}))
def test_the_tests_that_are_named_exist(name: str) -> None:
    file, _, function = name.partition("::")
    assert function in names_in(file)


@pytest.mark.parametrize("readme", READMES)
def test_settings_that_are_named_exist(readme: str) -> None:
    offered = set(re.findall(r"^#?\s*(MINDGLM_\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"MINDGLM_\w+", (ROOT / readme).read_text("utf-8")))
    assert named <= offered | {"MINDGLM_HOME"}


def test_both_languages_hold_the_same_sections_settings_and_links() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in READMES]
    for pattern in (r"^#+ ", r"^\| ", r"MINDGLM_\w+", r"\]\((docs/[^).]+)[^)]*\)"):
        found = [sorted(re.findall(pattern, text, re.MULTILINE)) for text in texts]
        assert found[0] == found[1], pattern


def test_extras_that_are_installed_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    installed = [command for command in RUN_BY if command.startswith("pip install")]
    for command in installed:
        *_, what = shlex.split(command)
        place, _, extras = what.rstrip("]").partition("[")
        assert place == "."
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_a_new_key_is_one() -> None:
    MasterKeys.parse(_printed("-m", "mindglm", "key").strip())


def test_programs_of_the_tests_explain_themselves() -> None:
    assert "--seeds" in _printed("-m", "tests.chaos", "--help")


def _printed(*argv: str) -> str:
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=True, cwd=ROOT).stdout
