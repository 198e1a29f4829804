import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from bootstrap import torch
from tests.deploy.compose import OURS, ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IGNORE = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_bases_are_pinned_and_no_registry_is_named() -> None:
    bases = re.findall(r"^ARG (?:PYTHON|NODE)=(\S+)", DOCKERFILE, re.MULTILINE)
    assert all(re.match(r"\d+\.\d+\.\d+-", base) for base in bases)
    assert len(bases) == 2
    assert not re.search(r"https?://|[a-z0-9-]+\.(io|com|org)/", DOCKERFILE)


def test_every_package_is_checked_against_a_hash() -> None:
    installs = [line for line in DOCKERFILE.splitlines() if re.search(r"pip install", line)]
    assert installs
    unchecked = [line for line in installs if "--require-hashes" not in line and "/wheel/*.whl" not in line]
    assert [line.split()[-1] for line in unchecked] == [f"torch=={torch.VERSION}"], "whose CPU build is in no index"


def test_no_image_runs_as_root() -> None:
    for service in OURS.values():
        assert user_of(service["build"]["target"]) == "10001:10001"


def user_of(stage: str) -> str | None:
    """Whom a stage runs as: itself, or as the stage that it is built upon."""
    found = re.search(rf"^FROM (\S+) AS {stage}\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    if found is None:
        return None
    users = re.findall(r"^USER (\S+)", found[2], re.MULTILINE)
    return users[-1] if users else user_of(found[1])


def test_what_is_copied_is_sent_and_nothing_secret_is() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for name in (*packages["packages"], "pyproject.toml", "README.md", "LICENSE", "requirements/bot.txt"):
        assert is_sent(name), name
    for name in (".env", "secrets/secret_key", ".git", "gateway/node_modules", "backups", "tests"):
        assert not is_sent(name), name


def is_sent(name: str) -> bool:
    """By the last pattern that fits, as Docker does it."""
    fitting = [line for line in IGNORE if line and fnmatch.fnmatch(name, line.removeprefix("!"))]
    return bool(fitting) and fitting[-1].startswith("!")
