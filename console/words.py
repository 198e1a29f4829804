"""The console's texts by locale, from data files; never in code or templates."""

import tomllib
from functools import cache
from importlib.resources import files

from care.texts import Texts

LOCALES = ("zh", "en")


@cache
def load() -> dict[str, Texts]:
    """Read `console/locales/*.toml`."""
    directory = files("console") / "locales"
    return {
        locale: Texts(locale, tomllib.loads((directory / f"{locale}.toml").read_text("utf-8"))) for locale in LOCALES
    }


def preferred(accept_language: str) -> str:
    """The first supported language that the browser asks for; Chinese if there is none."""
    for part in accept_language.lower().split(","):
        language = part.partition(";")[0].strip().partition("-")[0]
        if language in LOCALES:
            return language
    return LOCALES[0]
