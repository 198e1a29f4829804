"""A checkout of its own for dev.py, with a fake uv."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bootstrap import fake_uv, quick_pip

ROOT = Path(__file__).parents[2]
TESTS = "pytest -m not e2e --processes auto"
BARE = {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A copy of what dev.py needs, far from any network, beside an empty home."""

    root: Path
    log: Path
    environment: dict[str, str]

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "dev.py", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**self.environment, **variables},
        )

    def run(self, *words: str, **variables: str) -> "Outcome":
        process = self.start(*words, **variables)
        out, err = process.communicate()
        return Outcome(status=process.returncode, out=out, err=err)

    def noted(self) -> list[str]:
        """What uv and the tools were asked since the last look, without options."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [_short(line) for line in lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run of dev.py ended."""

    status: int
    out: str
    err: str


def _short(line: str) -> str:
    """For uv only what is installed: a lock or torch."""
    if not line.startswith("uv "):
        return line
    return "uv torch" if "torch==" in line else f"uv {Path(line.rpartition('=')[2]).stem}"


def make_checkout(directory: Path) -> Checkout:
    root, wheels = directory / "checkout", directory / "wheels"
    wheels.mkdir(parents=True)
    shutil.copytree(ROOT / "bootstrap", root / "bootstrap")
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copytree(ROOT / ".ci", root / ".ci")
    shutil.copy(ROOT / "dev.py", root)
    product = root / "mindglm" / "__main__.py"
    product.parent.mkdir()
    product.write_text("import os, sys; print(os.getcwd(), *sys.argv[1:]); sys.exit(7)")
    (root / "requirements" / "uv.txt").write_text(fake_uv.build(wheels, version="0.13.8"))
    log = directory / "noted"
    environment = {**BARE, "HOME": str(root), "PIP_FIND_LINKS": str(wheels), "FAKE_LOG": str(log)}
    return Checkout(root=root, log=log, environment=environment)


def with_quick_pip(checkout: Checkout) -> Checkout:
    """The same one, where ``python -m pip`` is quick_pip."""
    path = quick_pip.write(checkout.root.parent / "quick")
    return replace(checkout, environment={**checkout.environment, "PYTHONPATH": str(path)})
