"""A page that stands in two languages tells the same in both."""

import re
from pathlib import Path

import pytest

from tests import settings_table

DOCS = Path(__file__).parents[1] / "docs"
CHINESE = sorted(DOCS.glob("*.zh.md"))
FOR_OPERATORS = ("index", "deploy", "configuration", "telegram", "wechat", "model", "training", "security", "capacity")
"""Pages of two files. The others that staff need hold both languages in one."""
BOTH_IN_ONE = ("admin", "console", "wecom", "oa", "operations", "privacy", "care")


def pair(chinese: Path) -> tuple[str, str]:
    return (DOCS / chinese.name.replace(".zh.md", ".md")).read_text("utf-8"), chinese.read_text("utf-8")


each_pair = pytest.mark.parametrize("chinese", CHINESE, ids=lambda page: page.stem)


def without_code(page: str) -> str:
    return re.sub(r"```.*?```", "", page, flags=re.DOTALL)


def test_every_page_that_staff_need_stands_in_both_languages() -> None:
    assert {page.name for page in CHINESE} == {f"{name}.zh.md" for name in FOR_OPERATORS}
    for name in BOTH_IN_ONE:
        page = without_code((DOCS / f"{name}.md").read_text("utf-8"))
        assert re.search("^## (English|In English)$", page, re.MULTILINE), name
        assert re.search(r"[\u4e00-\u9fff]{20}", page.replace("，", "")), name


@each_pair
def test_the_outline_is_the_same(chinese: Path) -> None:
    english, translated = (
        re.findall(r"^#+(?= )|^\|(?= ---)", without_code(page), re.MULTILINE) for page in pair(chinese)
    )
    assert translated == english


@each_pair
def test_tables_have_the_same_rows(chinese: Path) -> None:
    english, translated = (len(re.findall(r"^\|", without_code(page), re.MULTILINE)) for page in pair(chinese))
    assert translated == english


@each_pair
def test_commands_are_the_same(chinese: Path) -> None:
    blocks = [re.findall(r"```\w*\n(.*?)```", page, re.DOTALL) for page in pair(chinese)]
    english, translated = ([re.sub(r"\s*#.*", "", block) for block in found] for found in blocks)
    assert translated == english


@each_pair
def test_settings_commands_and_files_are_the_same(chinese: Path) -> None:
    english, translated = (set(re.findall(r"`([^`\n]+)`", without_code(page))) for page in pair(chinese))
    assert translated == english


@each_pair
def test_figures_are_the_same(chinese: Path) -> None:
    figures = r"(?<![\w.,])\d[\d,.]*\d(?![\w])"
    english, translated = (set(re.findall(figures, without_code(page))) for page in pair(chinese))
    assert translated == english


def test_the_chinese_settings_are_written_from_the_classes_and_each_is_explained() -> None:
    assert settings_table.CHINESE.read_text("utf-8") == settings_table.render_chinese(), (
        "`python3 dev.py fix` renews it"
    )
    unexplained = [key for key, meaning in settings_table.chinese_meanings().items() if not meaning]
    assert unexplained == [], f"say in {settings_table.CHINESE.name} what they mean"
