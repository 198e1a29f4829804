"""The audit is found by what is shown of it, and never answers a question that it did not understand."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from console import audit_wording, words
from console.rendering import short
from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
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


@pytest.mark.parametrize(
    ("action", "reason", "shown"),
    [
        ("alarm", "tier 3", "三级：紧急危险"),
        ("case_opened", "danger level=4", "有危险（4 · 可能正在发生）"),
        ("case_called", "nobody", "名单上没有人能叫到"),
        ("case_called", "mailto:duty@example.org", "mailto:duty@example.org"),
        ("case_taken", "from console:lin", "原处理人 console:lin"),
        ("case_handed", "to console:fang", "交给 console:fang"),
        ("case_closed", "spoke", "已和本人谈过，目前安全"),
        ("assign", "to –", "无"),
        ("note", "private", "个人备注（只有你可见）"),
        ("release", "no answer for 20 minutes", "20 分钟没有回复"),
        ("staff_role_set", "lin (counsellor)", "lin（咨询师）"),
        ("staff_signed_in", "203.0.113.9 (single sign-on)", "203.0.113.9（单点登录）"),
        ("second_factor_added", "passkey", "通行密钥"),
        ("recovery_code_used", "left=9", "还剩 9 个恢复代码。"),
        ("purged", "texts=3 conversations=1", "3 条文字，1 段对话"),
        ("reset", "tier 3", "tier 3"),  # somebody typed it
        ("print", "to 市医院", "to 市医院"),
        ("read", None, ""),
    ],
)
def test_what_the_program_writes_is_said_in_the_readers_language(action: str, reason: str | None, shown: str) -> None:
    assert audit_wording.reason(words.load()["zh"], action, reason) == shown


def test_a_part_of_the_program_is_shown_by_what_it_does_and_found_so(house: House) -> None:
    alarm(house)
    with house.services.database.begin() as session:
        audit.note(session, actor="person", action="erased", whom=Whom(), reason="to 市医院", now=house.clock())
    lin = house.browser(Role.COUNSELLOR)
    page = lin.get("/audit").text
    assert "screening" not in page.replace("/audit?action=", "")
    assert "level=" not in page
    for actor in ("程序（风险筛查）", "Program (Screening)", "screening"):
        assert set(rows(lin.get(f"/audit?actor={actor}").text)) == {"alarm", "case_opened"}, actor


def test_every_part_of_the_program_that_writes_into_the_audit_has_a_name() -> None:
    named = {text.removeprefix("actor_") for text in words.load()["zh"].sentences if text.startswith("actor_")}
    assert named == writers()


def writers() -> set[str]:
    """Every constant that the product's source gives as the one who acted."""
    trees = product()
    constants = {name: value for tree in trees for name, value in _constants(tree).items()}
    given = [
        keyword.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "actor" or (keyword.arg == "name" and getattr(node.func, "id", "") == "Actor")
    ]
    return {name for value in given if (name := _text(value, constants)) and ":" not in name}


@cache
def product() -> list[ast.Module]:
    """The source of what writes into the audit."""
    files = [file for top in ("bot", "console", "dialogue", "mindglm") for file in (ROOT / top).rglob("*.py")]
    return [ast.parse(file.read_text("utf-8")) for file in files]


def written() -> set[str]:
    """Every constant that the product's source hands to the audit as an action."""
    trees = product()
    constants = {name: value for tree in trees for name, value in _constants(tree).items()}
    return {
        action
        for tree in trees
        for known in [constants | _constants(tree)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for action in _actions(node, known)
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
