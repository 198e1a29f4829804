"""A package that calls itself pip and installs the fake uv at once: the real one takes two seconds of the processor."""

from pathlib import Path

from tests.bootstrap.fake_uv import PROGRAM

_MAIN = f"""\
import os, sys
from pathlib import Path

if sys.argv[1:] == ["config", "list"]:
    print(f":env:.find-links={{os.environ['PIP_FIND_LINKS']!r}}")
else:
    option, python, command, *_ = sys.argv[1:]
    assert (option, command) == ("--python", "install")
    uv = Path(python).with_name("uv")
    uv.write_text({PROGRAM!r}.replace("#!python", f"#!{{python}}", 1))
    uv.chmod(0o755)
"""


def write(directory: Path) -> Path:
    """Put the package into `directory`, which is to be in PYTHONPATH, and return it."""
    package = directory / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(_MAIN)
    return directory
