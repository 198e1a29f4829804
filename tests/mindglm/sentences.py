"""Every sentence that the sources can show on the terminal, as the template by which it is looked up."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("mindglm", "training", "bot", "worker", "console", "dialogue", "care")
_ERRORS = frozenset({"DialogueError", "TrainingTrouble", "ModelUnusable"})
_SHOWN_BY = frozenset({"echo", "line", "say", "_done", "_fail", "confirm", "BadParameter", "table", "_report"})
_WORD = re.compile(r"[A-Za-z]{2}")
_KEYS = re.compile(r"[a-z_]+(?:\{\})?|\S+/\S+")
"""Names of texts that have languages of their own."""


def shown() -> dict[str, str]:
    """Each template, and a file that has it."""
    found: dict[str, str] = {}
    for path, nodes in _nodes().items():
        is_settings = path.name == "settings.py"
        for node in nodes:
            for template in _templates(node, is_settings=is_settings):
                found.setdefault(template, str(path.relative_to(ROOT)))
    return found


def _templates(node: ast.AST, *, is_settings: bool) -> Iterator[str]:
    if isinstance(node, ast.Raise) and (name := _raised_bare(node)) in _errors():
        yield " ".join((_errors()[name] or "").split())
    elif isinstance(node, ast.Call):
        name = _name_of(node.func)
        if (
            name in _errors().keys() | _ERRORS
            or (name in _SHOWN_BY and _is_ours(node))
            or (is_settings and name == "ValueError")
        ):
            yield from _texts(node.args)
    elif isinstance(node, ast.ClassDef) and node.name in _errors():
        calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
        for call in calls:
            if _name_of(call.func) == "__init__" and ast.unparse(call.func) == "super().__init__":
                yield from _texts(call.args)


def _name_of(called: ast.expr) -> str:
    """Without what it is looked up in."""
    return str(getattr(called, "attr", getattr(called, "id", "")))


def _is_ours(node: ast.Call) -> bool:
    """`say` of a locale file takes keys; a log prints lines of its own."""
    called = ast.unparse(node.func)
    return called == "self._say" or not called.startswith(("texts.", "self.", "spoken.", "words."))


def _texts(arguments: list[ast.expr]) -> Iterator[str]:
    for each in arguments:
        branches = [each.body, each.orelse] if isinstance(each, ast.IfExp) else [each]
        branches = each.elts if isinstance(each, ast.Tuple) else branches
        for branch in branches:
            text = _template(branch)
            if text and _WORD.search(text.replace("{}", "")) and not _KEYS.fullmatch(text):
                yield text.strip()


def _template(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def _raised_bare(node: ast.Raise) -> str:
    raised = node.exc
    if isinstance(raised, ast.Call) and not raised.args and not raised.keywords:
        raised = raised.func
    return raised.id if isinstance(raised, ast.Name) else ""


@cache
def _errors() -> dict[str, str | None]:
    """The expected errors below those known, with what they say when nothing else is said."""
    classes = [node for nodes in _nodes().values() for node in nodes if isinstance(node, ast.ClassDef)]
    found: dict[str, str | None] = {}
    size = -1
    while len(found) != size:
        size = len(found)
        for node in classes:
            if any(isinstance(each, ast.Name) and each.id in found.keys() | _ERRORS for each in node.bases):
                found[node.name] = ast.get_docstring(node)
    return found


@cache
def _nodes() -> dict[Path, list[ast.AST]]:
    """What may show a sentence: the other nodes are nineteen in twenty."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {path: list(_telling(ast.parse(path.read_text("utf-8")))) for path in files}


def _telling(tree: ast.AST) -> Iterator[ast.AST]:
    """As `ast.walk`, in half of its time and in another order."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Raise | ast.Call | ast.ClassDef):
            yield node
        for value in vars(node).values():
            if isinstance(value, list):
                left += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST):
                left.append(value)
