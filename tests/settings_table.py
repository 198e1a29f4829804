"""Writes docs/configuration.md from the settings classes: `python -m tests.settings_table`."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from bot.channels import registry
from dialogue.process.secret_files import is_secret
from tests.env_example import PACKAGES, settings_classes

FILE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """\
# Settings

Written by `python3 dev.py fix` from the settings classes; change those.

Every setting is an environment variable, or a line of a file `.env` in the directory where a process starts; the
environment comes first. [`.env.example`](../.env.example) holds them all, ready to copy. A secret (🔑) may stand in a
file of its own, which a variable with `_FILE` at its end names: `MINDGLM_SECRET_KEY_FILE=/run/secrets/secret_key`.

`mindglm doctor` says which values are in force and what is wrong with them.
"""
FOR_WHOM = {
    "dialogue": "Every process",
    **{channel.package: channel.words("en").label for channel in registry.platforms()},
    "worker": "The worker",
    "console": "The web console",
}


def render() -> str:
    """One table for each package, and one for each channel."""
    parts, known = [HEAD], set[str]()
    for package in PACKAGES:
        for settings in settings_classes(package):
            own = {name: field for name, field in settings.model_fields.items() if name not in known}
            known |= own.keys()
            if own:
                parts.append(_table(settings, own))
    return "\n".join(parts)


def _table(settings: type[BaseSettings], fields: dict[str, FieldInfo]) -> str:
    whom = next(words for place, words in FOR_WHOM.items() if settings.__module__.startswith(f"{place}."))
    rows = [
        f"| `MINDGLM_{key.upper()}`{_mark(field)} | {_default(field)} | {_words(field)} |"
        for key, field in fields.items()
    ]
    return "\n".join([f"## {whom}", "", "| setting | default | meaning |", "| --- | --- | --- |", *rows, ""])


def _mark(field: FieldInfo) -> str:
    return " 🔑" if is_secret(field) else ""


def _default(field: FieldInfo) -> str:
    default: Any = None if field.default_factory else field.default
    if default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _words(field: FieldInfo) -> str:
    choices = f" ({', '.join(map(str, get_args(field.annotation)))})" if get_origin(field.annotation) is Literal else ""
    return f"{field.description or ''}{choices}".replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
