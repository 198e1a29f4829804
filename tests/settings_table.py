"""Writes docs/configuration.md and its Chinese page from the settings classes: `python -m tests.settings_table`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from bot.channels import registry
from dialogue.process.secret_files import is_secret
from tests.env_example import PACKAGES, settings_classes

DOCS = Path(__file__).parents[1] / "docs"
FILE = DOCS / "configuration.md"
CHINESE = DOCS / "configuration.zh.md"
HEAD = """\
# Settings

Written by `python3 dev.py fix` from the settings classes; change those.

Every setting is an environment variable, or a line of a file `.env` in the directory where a process starts; the
environment comes first. [`.env.example`](../.env.example) holds them all, ready to copy. A secret (🔑) may stand in a
file of its own, which a variable with `_FILE` at its end names: `MINDGLM_SECRET_KEY_FILE=/run/secrets/secret_key`.

`mindglm doctor` says which values are in force and what is wrong with them.
"""
CHINESE_HEAD = """\
# 设置

名称、默认值和可选的值由 `python3 dev.py fix` 从设置类写出；说明写在这里。

每项设置都是一个环境变量，或者进程启动目录里文件 `.env` 的一行；环境变量优先。
[`.env.example`](../.env.example) 里列出了全部，可以直接复制。
保密的设置（🔑）可以单独放进一个文件，由末尾加 `_FILE` 的变量指出：
`MINDGLM_SECRET_KEY_FILE=/run/secrets/secret_key`。

`mindglm doctor` 会说哪些值在生效，以及哪里不对。
"""


@dataclass(frozen=True)
class _Page:
    head: str
    columns: str
    for_whom: Mapping[str, str]
    meaning: Callable[[str, FieldInfo], str]


def render() -> str:
    """The English page: one table for each package, and one for each channel."""
    for_whom = {
        "dialogue": "Every process",
        **{channel.package: channel.words("en").label for channel in registry.platforms()},
        "worker": "The worker",
        "console": "The web console",
    }
    return _page(_Page(HEAD, "| setting | default | meaning |", for_whom, lambda _, field: field.description or ""))


def render_chinese() -> str:
    """The same in Chinese. The meanings are those that the page has already; a new setting's is left empty."""
    for_whom = {
        "dialogue": "每个进程",
        **{channel.package: channel.words("zh").label for channel in registry.platforms()},
        "worker": "worker",
        "console": "网页控制台",
    }
    written = chinese_meanings()
    return _page(_Page(CHINESE_HEAD, "| 设置 | 默认 | 意思 |", for_whom, lambda key, _: written.get(key, "")))


def chinese_meanings() -> dict[str, str]:
    """Of each setting: what the Chinese page says that it means, without the values to choose from."""
    rows = re.findall(r"^\| `MINDGLM_(\w+)`[^|]*\|[^|]*\| (.*) \|$", CHINESE.read_text("utf-8"), re.MULTILINE)
    return {key.lower(): re.sub(r" \([\w, -]+\)$", "", meaning) for key, meaning in rows}


def _page(page: _Page) -> str:
    parts, known = [page.head], set[str]()
    for package in PACKAGES:
        for settings in settings_classes(package):
            own = {name: field for name, field in settings.model_fields.items() if name not in known}
            known |= own.keys()
            if own:
                parts.append(_table(page, settings, own))
    return "\n".join(parts)


def _table(page: _Page, settings: type[BaseSettings], fields: dict[str, FieldInfo]) -> str:
    whom = next(words for place, words in page.for_whom.items() if settings.__module__.startswith(f"{place}."))
    rows = [
        f"| `MINDGLM_{key.upper()}`{_mark(field)} | {_default(field)} "
        f"| {_escaped(page.meaning(key, field))}{_choices(field)} |"
        for key, field in fields.items()
    ]
    return "\n".join([f"## {whom}", "", page.columns, "| --- | --- | --- |", *rows, ""])


def _mark(field: FieldInfo) -> str:
    return " 🔑" if is_secret(field) else ""


def _default(field: FieldInfo) -> str:
    default: Any = None if field.default_factory else field.default
    if default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _choices(field: FieldInfo) -> str:
    return f" ({', '.join(map(str, get_args(field.annotation)))})" if get_origin(field.annotation) is Literal else ""


def _escaped(words: str) -> str:
    return words.replace("\\|", "|").replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
    CHINESE.write_text(render_chinese(), encoding="utf-8")
