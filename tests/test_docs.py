"""The documentation tells the truth about files, links and commands."""

import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from mindglm.commands import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not {"node_modules", ".venv", "site", "dist"} & set(page.relative_to(ROOT).parts)
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
COMMANDS = typer.main.get_command(app)


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """As the hub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@each_page
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)|src=\"(?!https?:)([^\"]+)\"", text_of(page))
    for link in (first or second for first, second in links):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


@each_page
def test_commands_that_are_named_exist(page: Path) -> None:
    shown = re.sub(r"[（(].*?[）)]", "", text_of(page))
    for words in re.findall(r"(?:^|`|dev\.py )mindglm ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", shown, re.MULTILINE):
        group: Any = COMMANDS
        for word in words.split():
            if not hasattr(group, "commands"):
                break
            assert word in group.commands, f"mindglm {words}"
            group = group.commands[word]
            if word == "console":
                break


@each_page
def test_tests_and_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:tests|deploy|docs|care|bot|worker|dialogue|mindglm|gateway|bench)/[\w./-]+)`", text_of(page)
    )
    if page.name != "CHANGELOG.md" and "decisions" not in page.parts:
        assert not [name for name in named if not (ROOT / name).exists() and not list(ROOT.glob(f"{name}*"))]


@cache
def functions_of_tests() -> dict[str, str]:
    """The names of all test functions of a file, one a line, by the file's path without its suffix."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        str(file.relative_to(ROOT).with_suffix("")): "\n".join(re.findall(r"def (test_\w+)", file.read_text("utf-8")))
        for file in files
    }


@each_page
def test_tests_that_are_named_as_proof_exist(page: Path) -> None:
    """As a file, with folders or without, as the beginning of a function's name, or as both."""
    if page.name == "CHANGELOG.md" or "decisions" in page.parts:
        return
    for name, function in re.findall(r"`((?:\w+/)*test_\w+)(?:\.py)?(?:::(test_\w+))?…?`", text_of(page)):
        in_files = [text for path, text in functions_of_tests().items() if f"/{path}".endswith(f"/{name}")]
        as_function = [text for text in functions_of_tests().values() if re.search(f"^{name}", text, re.MULTILINE)]
        found = in_files or ([] if function else as_function)
        assert any(re.search(f"^{function}", text, re.MULTILINE) for text in found), f"{name}::{function}"


def test_the_readmes_in_both_languages_show_the_same_commands() -> None:
    blocks = [re.findall(r"```sh\n(.*?)```", text_of(ROOT / name), re.DOTALL) for name in ("README.md", "README.zh.md")]
    without_comments = [[re.sub(r"\s*#.*", "", block) for block in found] for found in blocks]
    assert without_comments[0] == without_comments[1]


def test_what_dev_py_offers_in_the_readme_it_does() -> None:
    offered = set(
        re.findall(r"python3 dev\.py ([a-z0-9]+)", text_of(ROOT / "README.md") + text_of(ROOT / "CONTRIBUTING.md"))
    )
    known = set(re.findall(r'^        "([a-z0-9]+)": ', (ROOT / "dev.py").read_text(), re.MULTILINE))
    assert offered <= known | set(getattr(COMMANDS, "commands", {}))


def test_the_pictures_load_nothing_from_elsewhere() -> None:
    for picture in (ROOT / "docs" / "pictures").glob("*.svg"):
        assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?https?:", picture.read_text("utf-8"))


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda form: form.stem
)
def test_issue_forms_are_forms(form: Path) -> None:
    argv = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.github-issue-forms"]
    done = subprocess.run([*argv, str(form)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.e2e
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    argv = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = [page.read_text("utf-8") for page in (tmp_path / "site").rglob("*.html")]
    assert pages
    assert not [page for page in pages if re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", page)]


RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_no_two_decision_records_share_a_number() -> None:
    numbers = Counter(record.name[:4] for record in RECORDS)
    assert [number for number, count in numbers.items() if count > 1] == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_every_decision_record_says_under_its_title_whether_it_holds(record: Path) -> None:
    title, empty, status, *_ = text_of(record).splitlines()
    assert title.startswith((f"# {record.stem[:4]}", f"# {int(record.stem[:4])}."))
    assert empty == ""
    assert re.match(r"Status: (accepted|superseded by \[\d+\]\(\d{4}-[\w-]+\.md\))", status)
