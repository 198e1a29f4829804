"""The audit is found by what is shown of it, and never answers a question that it did not understand."""

import ast
import re
from pathlib import Path

import pytest

from console import words
from console.rendering import short
from dialogue.admin.audit import Action
from dialogue.states import Role
from tests.console.conftest import House
from tests.console.test_cases import alarm

ROOT = Path(__file__).parents[2]


def rows(page: str) -> list[str]:
    return re.findall(r'data-label="操作"><a href="/audit\?action=(\w+)"', page)


def test_what_is_shown_finds_its_rows(any_house: House) -> None:
    house = any_house
    conversation_id, other = alarm(house), alarm(house, who="别人")
    lin = house.browser(Role.COUNSELLOR)
    for each in (conversation_id, other):
        lin.post(f"/conversations/{each}/take-over")
    for action in ("take_over", "接管", "Took over"):
        assert set(rows(lin.get(f"/audit?action={action}").text)) == {"take_over"}, action
    assert set(rows(lin.get("/audit?action=个案").text)) >= {"case_opened", "case_taken"}
    for actor in ("lin", "LIN", "console:lin"):
        assert "take_over" in rows(lin.get(f"/audit?actor={actor}").text), actor
        assert "case_opened" not in rows(lin.get(f"/audit?actor={actor}").text)
    for whom in (short(conversation_id), conversation_id.hex[:13], str(conversation_id)):
        page = lin.get(f"/audit?conversation={whom}&action=take_over").text
        assert rows(page) == ["take_over"], whom
        assert f"/conversations/{other}" not in page
    assert "case_opened" in rows(lin.get("/audit?conversation=test:小王").text)


@pytest.mark.parametrize("query", ["actor=nobody", "action=Zauber", "conversation=zzzz", "conversation=00000000"])
def test_what_is_not_understood_is_said_and_shows_nothing(house: House, query: str) -> None:
    alarm(house)
    page = house.browser(Role.COUNSELLOR).get(f"/audit?{query}").text
    assert "没有显示记录" in page
    assert rows(page) == []


def test_every_action_has_a_label_in_both_languages() -> None:
    actions = {action.value for action in Action} | written()
    assert {"alarm", "erased", "asked_for_human", "staff_signed_in", "purged"} <= actions
    for locale, texts in words.load().items():
        missing = {action for action in actions if f"audit_{action}" not in texts.sentences}
        assert missing == set(), locale


def written() -> set[str]:
    """Every constant that the product's source hands to the audit as an action."""
    files = [file for top in ("bot", "console", "dialogue", "mindglm") for file in (ROOT / top).rglob("*.py")]
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    constants = {name: value for tree in trees for name, value in _constants(tree).items()}
    return {
        action
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for action in _actions(node, constants | _constants(tree))
    }


def _constants(tree: ast.Module) -> dict[str, str]:
    """The texts that have a name in a module."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _actions(call: ast.Call, constants: dict[str, str]) -> set[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = (
        [keyword.value for keyword in call.keywords if keyword.arg == "action"] if name in {"note", "note_all"} else []
    )
    given += call.args[1:2] if name == "_note" else []
    found = {_text(value, constants) for value in given}
    return {action for action in found if action}


def _text(value: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    name = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "")
    return constants.get(name, "")
