"""The bot's own words, by locale, from data files: never written in code."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Texts:
    """The sentences of one locale by key; `say` raises KeyError for a key that no file has."""

    locale: str
    sentences: dict[str, str]

    def say(self, key: str, **values: object) -> str:
        return self.sentences[key].format(**values)


@cache
def load(locale: str) -> Texts:
    """Read `care/locales/<locale>.toml`."""
    data = (files("care") / "locales" / f"{locale}.toml").read_text("utf-8")
    return Texts(locale, tomllib.loads(data))


@cache
def labels() -> frozenset[str]:
    """What a reply is labelled with, in every locale."""
    locales = (entry.name.removesuffix(".toml") for entry in (files("care") / "locales").iterdir())
    return frozenset(load(locale).say("disclosure_label") for locale in locales)
