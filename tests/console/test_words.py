import re
import string
from enum import StrEnum
from pathlib import Path

import pytest

import console
from console import words
from dialogue.errors import DialogueError
from dialogue.states import ClosedBy, DeliveryState, Role, TurnState

PACKAGE = Path(console.__path__[0])
TEXTS = words.load()


def fields(sentence: str) -> set[str]:
    return {name for _, name, *_ in string.Formatter().parse(sentence) if name}


def test_every_locale_says_the_same_things() -> None:
    zh, en = (TEXTS[locale].sentences for locale in words.LOCALES)
    assert zh.keys() == en.keys()
    assert {key: fields(zh[key]) for key in zh} == {key: fields(en[key]) for key in en}


def test_every_key_that_is_asked_for_is_there() -> None:
    for template in (PACKAGE / "templates").glob("*.html"):
        asked = re.findall(r"\bt\('(\w+)'\s*[,)]", template.read_text("utf-8"))
        assert set(asked) <= TEXTS["zh"].sentences.keys(), template.name
    for module in PACKAGE.rglob("*.py"):
        asked = re.findall(r'"((?:error|search|trouble)_\w+)"', module.read_text("utf-8"))
        assert set(asked) <= TEXTS["zh"].sentences.keys() | {"error_title"}, module.name


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("closed_by", ClosedBy),
        ("delivery", DeliveryState),
        ("turn", TurnState),
        ("role", Role),
    ],
    ids=str,
)
def test_every_state_has_words(prefix: str, names: type[StrEnum]) -> None:
    assert {f"{prefix}_{name}" for name in list(names)} <= TEXTS["zh"].sentences.keys()


def test_every_refusal_of_the_domain_that_can_come_has_words() -> None:
    from console.pages.actions import _REFUSALS

    assert all(issubclass(refusal, DialogueError) for refusal in _REFUSALS)
    assert {f"refused_{refusal.__name__}" for refusal in _REFUSALS} <= TEXTS["zh"].sentences.keys()


@pytest.mark.parametrize(
    ("asked", "given"), [("en-GB,en;q=0.9", "en"), ("zh-TW", "zh"), ("fr,en;q=0.5", "en"), ("", "zh"), (";;,,", "zh")]
)
def test_a_browser_gets_the_first_of_our_languages_that_it_asks_for(asked: str, given: str) -> None:
    assert words.preferred(asked) == given
