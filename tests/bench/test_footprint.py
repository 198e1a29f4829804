import importlib
import sys
from pathlib import Path

import pytest

from bench import footprint

OUTER = "import {inner}\nheld = [str(number) for number in range(200)]\n"
INNER = "held = [str(number) * 8 for number in range(200_000)]\n"


def test_what_a_module_takes_is_not_counted_for_the_one_that_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "costs_little.py").write_text(OUTER.format(inner="costs_much"))
    (tmp_path / "costs_much.py").write_text(INNER)
    monkeypatch.syspath_prepend(tmp_path)
    taken = footprint.costs(lambda: importlib.import_module("costs_little"))
    for name in ("costs_little", "costs_much"):
        del sys.modules[name]
    assert set(taken) >= {"costs_little", "costs_much"}
    assert taken["costs_much"] > 5
    assert taken["costs_little"] < 2
