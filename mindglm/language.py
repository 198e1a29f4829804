"""The command line in the operator's language.

Sentences are written in English where they arise, also in the domain, which does not know who reads them. On their way
to the terminal they are looked up in `mindglm/locales/<locale>.toml`, by their template: `{}` stands for any value.
What a machine reads (`--json`, identifiers, commands) stays as it is.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from typing import Final

LOCALES: Final = ("zh", "en")
_SETTING: Final = "MINDGLM_LOCALE"
_TERMINAL: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


class Sentences:
    """What one locale says for the English sentences; English says them unchanged."""

    def __init__(self, locale: str, entries: Mapping[str, str]) -> None:
        self.locale = locale
        self._exact = {text: said for text, said in entries.items() if "{}" not in text}
        templates = sorted((text for text in entries if "{}" in text), key=_literal_length, reverse=True)
        self._templates = [(_Template(text), entries[text]) for text in templates]

    def knows(self, template: str) -> bool:
        """Whether there is an entry for exactly this sentence or template."""
        bare = template.strip()
        return bare in self._exact or any(template.text == bare for template, _ in self._templates)

    def say(self, text: str) -> str:
        """The sentence in this language, values and the space around it kept; unchanged if it is not known."""
        if not self._exact:
            return text
        bare = text.strip()
        before, _, after = text.partition(bare) if bare else (text, "", "")
        return f"{before}{self._said(bare)}{after}"

    def _said(self, text: str) -> str:
        if (said := self._exact.get(text)) is not None:
            return said
        for template, said in self._templates:
            if (values := template.values_in(text)) is not None:
                return said.format(*(self._exact.get(value) or self._said(value) for value in values))
        return text


class _Template:
    """A sentence with values in it; what finds them is made for the few templates that a text may be of."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._first, *_, self._last = text.split("{}")

    def values_in(self, text: str) -> tuple[str, ...] | None:
        """None where the text is not of this template."""
        if not (text.startswith(self._first) and text.endswith(self._last)):
            return None
        found = _pattern(self.text).fullmatch(text)
        return None if found is None else found.groups()


def locale() -> str:
    """`MINDGLM_LOCALE`, from the environment or `.env`; where it is not set, the terminal's language, else English."""
    named = os.environ.get(_SETTING) or _in_env_file()
    if named:
        return "en" if named.strip().casefold() == "en" else "zh"
    terminal = next((value for name in _TERMINAL if (value := os.environ.get(name))), "")
    return "zh" if terminal.casefold().startswith("zh") else "en"


def say(text: str) -> str:
    """In the operator's language."""
    return sentences(locale()).say(text)


def echo(text: str, *, to_stderr: bool = False) -> None:
    """One line for people."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(f"{say(text)}\n")
    stream.flush()


@cache
def sentences(name: str) -> Sentences:
    """Of one locale."""
    if name == "en":
        return Sentences(name, {})
    import tomllib
    from pathlib import Path  # slower to import than the whole of this module

    file = Path(__file__).with_name("locales") / f"{name}.toml"
    return Sentences(name, tomllib.loads(file.read_text("utf-8")))


def _in_env_file() -> str | None:
    if not os.path.exists(".env"):  # noqa: PTH110 - pathlib is slower to import than the whole of this module
        return None
    from dotenv import dotenv_values

    return dotenv_values(".env").get(_SETTING)


def _literal_length(template: str) -> int:
    return len(template.replace("{}", ""))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, template.split("{}"))), re.DOTALL)
