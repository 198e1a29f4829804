"""Checks the settings: unknown names are probably typos, and files with secrets must be private."""

import contextlib
import difflib
import importlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from bot.channels import registry
from bot.channels.findings import CheckResult, note, ok, warn
from dialogue.process.settings import DialogueSettings
from mindglm.doctor.findings import Patient
from worker.settings import WorkerSettings

_PREFIX = "MINDGLM_"
_FILE = Path(".env")
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def examine(patient: Patient) -> Iterator[CheckResult]:
    """Of the environment and of ``.env`` in the current directory."""
    del patient  # that the values can be used is known when there is one
    for name, likely in unknown():
        yield warn("variable_unknown", name=name, likely=likely or "—")
    if _FILE.exists() and _FILE.stat().st_mode & _OF_OTHERS and _secrets(_classes()) & set(dotenv_values(_FILE)):
        yield warn("variable_file_open", file=_FILE.absolute())
    used = sorted(_given() & known())
    yield ok("variables", names=", ".join(used)) if used else note("variables_none")


def unknown() -> list[tuple[str, str | None]]:
    """Names that are set and that nothing reads, each with the nearest known name if one is near.

    Each process asks when it starts: the settings of others are imported where one of its own does not explain a name.
    """
    given = _given()
    if given <= _names(_imported()):
        return []
    names = known()
    return [(name, _nearest(name, names)) for name in sorted(given - names)]


def _nearest(name: str, names: Collection[str]) -> str | None:
    """By what follows the prefix: that all have in common makes none of them near."""
    bare = [each.removeprefix(_PREFIX) for each in names]
    found = difflib.get_close_matches(name.removeprefix(_PREFIX), bare, n=1)
    return f"{_PREFIX}{found[0]}" if found else None


def _given() -> set[str]:
    named: Mapping[str, object] = {**(dotenv_values(_FILE) if _FILE.exists() else {}), **os.environ}
    return {name.upper() for name in named if name.upper().startswith(_PREFIX)}


def known() -> set[str]:
    """The names of all settings, with those of the files of secrets."""
    return _names(_classes())


def _names(classes: Collection[type[DialogueSettings]]) -> set[str]:
    names = {f"{_PREFIX}{name.upper()}" for settings in classes for name in settings.model_fields}
    return names | {f"{name}_FILE" for name in _secrets(classes)}


def _secrets(classes: Collection[type[DialogueSettings]]) -> set[str]:
    return {
        f"{_PREFIX}{name.upper()}"
        for settings in classes
        for name, field in settings.model_fields.items()
        if SecretStr.__name__ in str(field.annotation)
    }


def _classes() -> list[type[DialogueSettings]]:
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("console.settings")  # an extra that need not be installed
    of_channels = [registry.process_of(channel).settings() for channel in registry.platforms()]
    return [*of_channels, *_imported()]


def _imported() -> list[type[DialogueSettings]]:
    return [WorkerSettings, *DialogueSettings.__subclasses__()]
