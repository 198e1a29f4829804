"""Writes .env.example from the settings classes: `python -m tests.env_example`."""

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import bot
import console
import dialogue
import worker

PACKAGES = (dialogue, bot, worker, console)
FILE = Path(__file__).parents[1] / ".env.example"
HEAD = """\
# Every setting, with its default. Copy this file to .env and uncomment what you change.
# Variables of the environment come before those of the file. A secret may stand in a file of its own, which a variable
# with _FILE at its end names, e.g. MINDGLM_SECRET_KEY_FILE=/run/secrets/secret_key.
"""
WIDTH = 118


def render() -> str:
    """The whole file: one section for each package, one paragraph for each setting."""
    sections = [HEAD]
    known: set[str] = set()
    for package in PACKAGES:
        for settings in settings_classes(package):
            own = {name: field for name, field in settings.model_fields.items() if name not in known}
            known |= own.keys()
            if own:
                sections += [_heading(settings), *(_paragraph(settings, name, field) for name, field in own.items())]
    return "\n".join(sections)


def settings_classes(package: ModuleType) -> Iterator[type[BaseSettings]]:
    """The settings that are defined in any module of `package` whose name says so, the package's own first."""
    found = (each.name for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    for name in sorted((name for name in found if name.endswith(".settings")), key=lambda name: name.count(".")):
        module = importlib.import_module(name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == name:
                yield value


def _heading(settings: type[BaseSettings]) -> str:
    words = (sys.modules[settings.__module__].__doc__ or "").strip().splitlines()[0]
    return f"\n# --- {words}\n"


def _paragraph(settings: type[BaseSettings], name: str, field: FieldInfo) -> str:
    choices = f" ({', '.join(map(str, get_args(field.annotation)))})" if get_origin(field.annotation) is Literal else ""
    comment = wrap(f"{field.description or ''}{choices}", WIDTH, initial_indent="# ", subsequent_indent="# ")
    variable = f"{settings.model_config.get('env_prefix', '')}{name}".upper()
    return "\n".join([*comment, f"#{variable}={_value(field)}", ""])


def _value(field: FieldInfo) -> str:
    """Nothing where the default is made at start or means "not set"; .env takes that for the default too."""
    default: Any = None if field.default_factory else field.default
    if default is None:
        return ""
    if isinstance(default, str | int | float) and not isinstance(default, bool):
        return str(default)
    return json.dumps(default, ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
