"""The house keeps its own rules: quiet imports, reasons, locks and settings that are in step."""

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bootstrap import torch
from bootstrap.environment import DEVELOPMENT, RUNTIME
from tests import env_example, settings_table

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = [ROOT / "requirements" / f"{name}.txt" for name in ("runtime", "dev", "bot", "worker", "uv", "build")]
RUN_BY_ALEMBIC = "migrations.env"

MODEL_LIBRARIES = {"torch", "transformers"}
PLATFORM_LIBRARIES = {"telegram", "wechaty", "wechaty_puppet"}
FOREIGN = {
    "bot": MODEL_LIBRARIES,
    "worker": PLATFORM_LIBRARIES,
    "console": MODEL_LIBRARIES | PLATFORM_LIBRARIES,
    "dialogue": MODEL_LIBRARIES | PLATFORM_LIBRARIES,
    "care": MODEL_LIBRARIES | PLATFORM_LIBRARIES,
}
"""What no module of a package may load."""
SHARED = ["pydantic_settings", "sqlalchemy.orm", "structlog"]
LIGHT = [["care", "dialogue", "console"], ["bot", "mindglm", "migrations"]]
WITH_MODELS = [["worker", "training"]]
"""The packages that one process imports: each may load what those before it may, or is free to load anything."""


def sources() -> Iterator[Path]:
    for place in PROJECT["tool"]["mypy"]["files"]:
        yield from [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))


# --- Imports ---------------------------------------------------------------------------------------------------------

IMPORT_ALONE = """
import gc, importlib, json, os, sys, threading, traceback

gc.disable()  # all that is imported stays
FORBIDDEN = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen"}

def refuse(event, arguments):
    if event in FORBIDDEN:
        raise RuntimeError(f"{event} while importing")

def import_all(packages, result):
    try:
        loaded = {}
        for package, names in packages:
            for name in names:
                importlib.import_module(name)
            assert threading.active_count() == 1, threading.enumerate()
            loaded[package] = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
        json.dump(loaded, result)
        result.close()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

wanted = json.load(sys.stdin)
before = set(sys.modules)
for name in wanted["shared"]:
    importlib.import_module(name)
sys.addaudithook(refuse)
loaded = {}
for packages in wanted["packages"]:
    reading, writing = os.pipe()
    if os.fork() == 0:
        import_all(packages, os.fdopen(writing, "w"))
    os.close(writing)
    with os.fdopen(reading) as result:
        told = result.read()
    _, status = os.wait()
    assert status == 0, [package for package, _ in packages]
    loaded |= json.loads(told)
json.dump(loaded, sys.stdout)
"""
"""A process that imports the libraries that the packages share, and forks for each row of them.

What a library does is its own affair: torch's CUDA build asks ldconfig where its libraries are.
"""


def modules(package: str) -> list[str]:
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    return [package, *(module.name for module in found if module.name != RUN_BY_ALEMBIC)]


def imported_by(
    packages: list[list[tuple[str, list[str]]]], directory: Path, *, shared: Iterable[str] = ()
) -> dict[str, set[str]]:
    """The top-level packages that a bare process loads for the modules of each package and those before it in a row."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_ALONE],
        input=json.dumps({"shared": list(shared), "packages": packages}),
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return {package: set(loaded) for package, loaded in json.loads(done.stdout).items()}


@pytest.mark.parametrize(
    ("rows", "shared"),
    [(LIGHT, SHARED), (WITH_MODELS, [*SHARED, "torch", "transformers.models.glm.modeling_glm"])],
    ids=["light", "with models"],
)
def test_importing_needs_no_network_and_no_settings_and_stays_on_its_floor(
    rows: list[list[str]], shared: list[str], tmp_path: Path
) -> None:
    loaded = imported_by([[(name, modules(name)) for name in row] for row in rows], tmp_path, shared=shared)
    assert sorted(loaded) == sorted(name for row in rows for name in row)
    assert not {name: foreign for name in loaded if (foreign := loaded[name] & FOREIGN.get(name, set()))}
    assert not list(tmp_path.iterdir())


def test_every_package_is_imported_so() -> None:
    assert sorted(name for row in (*LIGHT, *WITH_MODELS) for name in row) == sorted(PACKAGES)


def test_the_command_line_answers_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    heavy = {"torch", "transformers", "celery", "sqlalchemy", "telegram", "pydantic"}
    loaded = imported_by([[("mindglm", ["mindglm.commands"])]], tmp_path)
    assert loaded["mindglm"].isdisjoint(heavy)


def test_the_contracts_between_packages_are_kept() -> None:
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*lint, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_every_package_of_the_product_is_under_a_contract() -> None:
    assert set(PACKAGES) - {"migrations"} == set(PROJECT["tool"]["importlinter"]["root_packages"])


# --- Sources ---------------------------------------------------------------------------------------------------------


def test_each_module_says_what_it_is_for() -> None:
    texts = {source: source.read_text("utf-8") for source in sources() if "tests" not in source.parts}
    assert not [source for source, text in texts.items() if not re.match(r'(#!.*\n)?"""\S', text)]


def test_each_silenced_check_has_a_reason() -> None:
    silenced = re.compile(r"#\s*(?:noqa|type: ignore)\b(.*)")
    reasoned = re.compile(r"(?:: [A-Z0-9, ]+|\[[a-z, -]+\])\s+(?:-|#) \S")
    assert not [
        f"{source.relative_to(ROOT)}:{number}"
        for source in sources()
        for number, line in enumerate(source.read_text("utf-8").splitlines(), 1)
        if (comment := silenced.search(line)) and "re.compile" not in line and not reasoned.match(comment[1])
    ]


def test_no_module_is_a_box_for_odds_and_ends() -> None:
    assert not [source for source in sources() if source.stem in {"utils", "helpers", "common", "misc", "manager"}]


# --- Locks -----------------------------------------------------------------------------------------------------------


def pins(lock: Path) -> dict[str, list[str]]:
    """The versions of each locked package; there are two where Pythons differ."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_place_and_has_a_hash_for_each_package(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"--(index|extra-index|find-links|trusted-host)", text)
    entries = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_torch_and_its_gpu_parts_stay_outside_the_locks(lock: Path) -> None:
    assert not [name for name in pins(lock) if name in {"torch", "triton"} or name.startswith(("nvidia", "cuda"))]


@pytest.mark.parametrize(
    ("lock", "extras", "groups"),
    [
        (RUNTIME.lock, ["console", "embedded", "local", "openai", "postgres", "telegram"], []),
        (DEVELOPMENT.lock, list(PROJECT["project"]["optional-dependencies"]), ["dev"]),
    ],
    ids=["runtime", "dev"],
)
def test_a_lock_satisfies_the_project_file(lock: Path, extras: list[str], groups: list[str]) -> None:
    wanted = list(PROJECT["project"]["dependencies"])
    wanted += [line for extra in extras for line in PROJECT["project"]["optional-dependencies"][extra]]
    wanted += [line for group in groups for line in PROJECT["dependency-groups"][group]]
    locked = pins(lock)
    for requirement in map(Requirement, wanted):
        if requirement.name != "torch":
            versions = locked.get(canonicalize_name(requirement.name), [])
            assert versions, f"`python3 dev.py lock` has not seen {requirement.name}"
            assert all(requirement.specifier.contains(version) for version in versions), str(requirement)


def test_both_locks_agree_so_that_one_can_be_installed_over_the_other() -> None:
    development = pins(DEVELOPMENT.lock)
    assert all(development[name] == versions for name, versions in pins(RUNTIME.lock).items())


def test_the_images_hold_what_was_tested() -> None:
    development = pins(DEVELOPMENT.lock)
    for name in ("bot", "worker"):
        assert all(
            development[package] == versions for package, versions in pins(ROOT / f"requirements/{name}.txt").items()
        )


def test_the_torch_that_is_installed_is_the_one_that_the_project_names() -> None:
    assert pins(ROOT / "requirements/cuda.txt")["torch"] == [torch.VERSION]
    assert f"torch=={torch.VERSION}" in PROJECT["project"]["optional-dependencies"]["local"]


# --- Settings --------------------------------------------------------------------------------------------------------


def test_env_example_is_in_step_with_the_settings() -> None:
    assert env_example.FILE.read_text("utf-8") == env_example.render(), "`python3 dev.py fix` renews it"


def test_the_table_of_settings_is_in_step_with_them() -> None:
    assert settings_table.FILE.read_text("utf-8") == settings_table.render(), "`python3 dev.py fix` renews it"


def test_env_example_knows_the_settings_of_every_package() -> None:
    text = env_example.FILE.read_text("utf-8")
    for package in PACKAGES:
        for settings in env_example.settings_classes(importlib.import_module(package)):
            for name in settings.model_fields:
                assert f"\n#MINDGLM_{name.upper()}=" in text, f"{name} of {settings.__module__}"


def test_the_defaults_in_env_example_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(re.sub(r"(?m)^#(?=MINDGLM_)", "", env_example.render()), "utf-8")
    for package in PACKAGES:
        for settings in env_example.settings_classes(importlib.import_module(package)):
            assert settings(_env_file=tmp_path / ".env") == settings(_env_file=None)


# --- Names -----------------------------------------------------------------------------------------------------------

SAME_NAME_ALLOWED = {
    "Inbox": "WeChat's is the port through which its intake reaches the bot's",
    "Progress": "the same reply in progress: as the engine gives it, and as Telegram shows it",
    "Runner": "the step loop's port, and what fulfils it",
    "Step": "of a course in care; and of the engine's attention",
}
"""Class names that stand for two things, each with the reason why both keep it."""


def test_one_class_name_means_one_thing() -> None:
    """Channels may share names for the same roles (one folder each); training runs alone, in its own field's words."""
    places: dict[str, set[str]] = {}
    for file in sources():
        path = file.relative_to(ROOT)
        if path.parts[0] in PACKAGES and path.parts[0] != "training":
            where = "bot/channels/*" if path.parts[:2] == ("bot", "channels") and len(path.parts) > 3 else str(path)
            for node in ast.parse(file.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, set()).add(where)
    repeated = {name: found for name, found in places.items() if len(found) > 1}
    assert repeated.keys() == SAME_NAME_ALLOWED.keys(), repeated
