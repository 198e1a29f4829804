"""The list of decisions is complete, and the documentation prints it."""

import importlib
import pkgutil
import re
from pathlib import Path

from bot.incoming import decisions, steps

ROOT = Path(__file__).parents[3]


def test_every_step_is_in_the_list_once() -> None:
    modules = [module.name for module in pkgutil.iter_modules(steps.__path__)]
    assert sorted(decisions.names()) == sorted(modules)


def test_every_step_has_a_test_file_of_its_own() -> None:
    tests = {file.stem.removeprefix("test_") for file in (Path(__file__).parent / "steps").glob("test_*.py")}
    assert tests == set(decisions.names())


def test_the_architecture_prints_the_list_as_it_is() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    printed = re.findall(r"^\d+\. `(\w+)`: (.+)$", page, re.MULTILINE)
    assert printed == [
        (name, importlib.import_module(f"bot.incoming.steps.{name}").__doc__) for name in decisions.names()
    ]
