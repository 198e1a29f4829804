"""The command line speaks the operator's language: nothing is left untranslated, and values stay as they are."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import rich_utils

from mindglm import language, speaking
from mindglm.commands import app
from mindglm.language import Sentences, sentences
from tests.mindglm.sentences import shown

CHINESE = sentences("zh")
ENGLISH = sentences("en")
_NAMES = re.compile(r"[a-z]+(?:, [a-z]+)*\.")
"""A help that only lists names."""
_ENGLISH_SENTENCE = re.compile(r"\b[A-Za-z]+ [a-z]+ [a-z]+ [a-z]+\b")
_HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(autouse=True)
def typers_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back after each test, and wide enough that no sentence is cut."""
    for name in dir(rich_utils):
        if name.isupper():
            monkeypatch.setattr(rich_utils, name, getattr(rich_utils, name))
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 400)
    monkeypatch.setenv("COLUMNS", "400")


def paths(command: Any, so_far: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield so_far
    for name, each in getattr(command, "commands", {}).items():
        yield from paths(each, (*so_far, name))


@cache
def commands(language: str) -> Any:
    """Made once: that takes longer than showing the help of one of them."""
    return speaking.spoken(app, sentences(language))


def run(arguments: list[str], spoken: Sentences, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit status and what is shown."""
    with pytest.raises(SystemExit) as ended:
        speaking.call(commands(spoken.locale), spoken, arguments)
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out + told.err


def test_every_sentence_of_the_sources_is_known_in_chinese() -> None:
    assert {text: file for text, file in shown().items() if not CHINESE.knows(text)} == {}


def test_every_help_text_is_known_in_chinese() -> None:
    texts = set()
    for command in speaking.commands(typer.main.get_command(app)):
        texts |= {part for name in ("help", "epilog") for part in speaking.paragraphs(getattr(command, name) or "")}
        texts |= {" ".join((getattr(each, "help", None) or "").split()) for each in command.params}
    assert len(texts) > 150
    assert {text for text in texts if text and not _NAMES.fullmatch(text) and CHINESE.say(text) == text} == set()


def test_the_help_of_every_command_is_in_the_operators_language(capsys: pytest.CaptureFixture[str]) -> None:
    for spoken, foreign in ((ENGLISH, _HAN), (CHINESE, _ENGLISH_SENTENCE)):
        for path in paths(typer.main.get_command(app)):
            status, told = run([*path, "--help"], spoken, capsys)
            assert status == 0, path
            sentences_of_ours = [line for line in told.splitlines() if not re.search(r"例：|Example: |--model", line)]
            assert not [line for line in sentences_of_ours if foreign.search(line)], path
            assert ("用法：" in told) == (spoken is CHINESE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuchcommand"],
        ["admin", "shw", "x"],
        ["admin", "show"],
        ["admin", "show", "x", "y"],
        ["admin", "show", "x", "--limit", "many"],
        ["admin", "show", "x", "--limit", "100000"],
        ["admin", "show", "x", "--limit"],
        ["admin", "show", "x", "--text"],
        ["admin", "show", "x", "--txt"],
        ["admin", "show", "x", "--text=1"],
        ["admin", "sessions", "--since", "yesterday"],
        ["admin", "sessions", "--min-tier", "9"],
        ["admin", "block", "x", "--why", " "],
        ["admin", "export", "x"],
        ["admin", "export", "x", "--why", "é" * 256],
        ["admin", "alert"],
        ["worker", "--concurrency", "0"],
        ["train", "sft"],
    ],
)
def test_wrong_usage_is_told_in_the_operators_language(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    in_english, _ = run(arguments, ENGLISH, capsys)
    status, told = run(arguments, CHINESE, capsys)
    assert status == in_english == 2
    said = [re.sub(r"'[^']*'", "", line) for line in told.splitlines() if not line.startswith("用法：")]
    assert not [line for line in said if re.search(r"\b[A-Z]?[a-z]+ [a-z]+ [a-z]+\b", line)], told
    assert _HAN.search("".join(said)), told


def test_values_are_kept_in_their_places() -> None:
    assert CHINESE.say("The message has 5000 characters; at most 4096 are allowed.") == "消息有 5000 字，最多 4096 字。"
    assert CHINESE.say("a lacks b (2 of 3 shards). Fetch the model again.").startswith("a 缺少 b（3 个分片中的 2 个）")
    assert CHINESE.say("mindglm: The conversation has ended already.") == "mindglm: 对话已经结束。"
    assert CHINESE.say("nobody knows this sentence") == "nobody knows this sentence"
    assert ENGLISH.say("The conversation has ended already.") == "The conversation has ended already."
    assert CHINESE.say("  of them with tier 3") == "  其中等级 3"


def test_each_translation_has_the_values_of_its_sentence() -> None:
    import tomllib

    entries = tomllib.loads((Path(language.__file__).parent / "locales" / "zh.toml").read_text("utf-8"))
    for text, said in entries.items():
        fields = re.findall(r"\{(\d+)\}", said)
        assert sorted(fields) == [str(number) for number in range(text.count("{}"))], text


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MINDGLM_LOCALE": "zh", "LANG": "en_US.UTF-8"}, "zh"),
        ({"MINDGLM_LOCALE": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_setting_decides_and_else_the_terminal(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MINDGLM_LOCALE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language.locale() == expected
    (tmp_path / ".env").write_text("MINDGLM_LOCALE=zh\n", encoding="utf-8")
    assert language.locale() == ("en" if environment.get("MINDGLM_LOCALE") == "en" else "zh")
