"""What a start imports, which is most of its time. How long it takes is for `bench.start` to say."""

import re
import subprocess
import sys
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import pytest

from bench import start
from mindglm.__main__ import CHAT_OPTIONS
from mindglm.commands import chat

HEAVY = frozenset(
    [
        "torch",
        "transformers",
        "sqlalchemy",
        "celery",
        "kombu",
        "redis",
        "pydantic_settings",
        "alembic",
        "numpy",
        "telegram",
    ]
)


def imported(*arguments: str, home: Path) -> set[str]:
    """The top-level packages, and the modules, that `mindglm ARGUMENTS` imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mindglm", *arguments],
        env=start.environment(start.HERE, home),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    modules = re.findall(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", done.stderr, re.MULTILINE)
    assert done.returncode in {0, 2}, done.stderr
    return {*modules, *(module.split(".")[0] for module in modules)}


@pytest.mark.parametrize("arguments", [["--help"], ["model", "--help"]])
def test_help_imports_neither_engine_nor_database_nor_broker(arguments: Sequence[str], tmp_path: Path) -> None:
    modules = imported(*arguments, home=tmp_path)
    assert "typer.rich_utils" in modules
    assert modules & {*HEAVY, "markdown_it", "pygments", "attr"} == set()


def test_a_chat_imports_no_engine_and_no_command_line(tmp_path: Path) -> None:
    modules = imported("chat", "--no-worker", home=tmp_path)
    assert "sqlalchemy" in modules
    assert modules & {"torch", "transformers", "numpy", "typer", "click", "rich.console"} == set()


def test_a_chat_started_without_the_command_line_knows_all_its_options() -> None:
    assert {f"--{name}" for name in signature(chat).parameters} | {"--no-worker"} == CHAT_OPTIONS


def test_up_imports_no_engine(tmp_path: Path) -> None:
    modules = imported("up", home=tmp_path)
    assert "pydantic" in modules
    assert modules & {"torch", "transformers", "numpy", "rich.console"} == set()


def test_a_class_imported_late_is_the_real_one_as_soon_as_it_is_used() -> None:
    program = (
        "import sys\n"
        "from mindglm.lean import late\n"
        "with late({'fractions': ['Fraction']}):\n"
        "    from fractions import Fraction as Late\n"
        "    union = Late | None\n"
        "print('fractions' in sys.modules, Late(1, 2), Late.from_float(0.25))\n"
        "from fractions import Fraction\n"
        "print(type(Late(1)) is Fraction)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False 1/2 1/4\nTrue\n", done.stderr


def test_starts_are_compared_between_trees_in_turns() -> None:
    rows = start.compare([start.HERE, start.HERE], ["help"], rounds=1)
    assert [(row.tree, row.what, row.rounds) for row in rows] == [(start.HERE.name, "help", 1)] * 2
    assert all(row.cpu_fastest_s > 0 and row.wall_fastest_s > 0 for row in rows)


def test_a_tree_without_the_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(start.NotStarted, match=f"{tmp_path} is no checkout"):
        start.compare([tmp_path], ["help"], rounds=1)
