import importlib
import sys
from pathlib import Path

import pytest

from mindglm import docstrings

MODULE = '''"""A module's."""

ORDINARY = [word for word in ("kept",)]


def told(x):
    """Told."""
    def inner():
        """Inner."""
        return "inner"
    return inner


def echo():
    """Echo."""
    return "Echo."


def silent():
    "s"
    def of_words():
        return "words"
    return of_words


class Fault(Exception):
    """What people read."""

    def method(self):
        """Of a method."""
        assert self.args, "assertions stay"
'''


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "told_once.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "told_once", raising=False)
    importlib.invalidate_caches()
    return tmp_path


@pytest.mark.usefixtures("directory")
def test_functions_lose_their_docstrings_and_nothing_else() -> None:
    before = list(sys.meta_path)
    with docstrings.left_out("told_once"):
        module = importlib.import_module("told_once")
    assert sys.meta_path == before
    assert (module.told.__doc__, module.told(1).__doc__, module.Fault.method.__doc__) == (None, None, None)
    assert module.told(1)() == "inner"
    assert module.silent()() == "words"
    assert (module.Fault.__doc__, module.ORDINARY) == ("What people read.", ["kept"])
    with pytest.raises(AssertionError, match="assertions stay"):
        module.Fault().method()


@pytest.mark.usefixtures("directory")
def test_a_function_that_returns_its_docstring_still_does() -> None:
    with docstrings.left_out("told_once"):
        module = importlib.import_module("told_once")
    assert module.echo() == "Echo."


@pytest.mark.usefixtures("directory")
def test_what_others_import_afterwards_has_docstrings() -> None:
    with docstrings.left_out("told_once"):
        importlib.import_module("told_once")
    del sys.modules["told_once"]
    assert importlib.import_module("told_once").told.__doc__ == "Told."
