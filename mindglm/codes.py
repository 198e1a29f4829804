"""The codes of the database (states, kinds, actions) as an operator reads them.

In English a code is its own word. In Chinese the console's word stands before it, and the code stays in brackets,
because options such as `--state` and the JSON take the code.
"""

import tomllib
from functools import cache
from importlib.resources import files

from mindglm import language


def label(kind: str, code: str | None) -> str | None:
    """`code` of a `kind` that begins the keys of console/locales: standing, turn, delivery, kind, audit, closed_by."""
    if not code or (said := _words(language.locale()).get(f"{kind}_{code}")) is None:
        return code
    return f"{said} ({code})"


@cache
def _words(locale: str) -> dict[str, str]:
    if locale == "en":
        return {}
    loaded = tomllib.loads((files("console") / "locales" / f"{locale}.toml").read_text("utf-8"))
    return {key: said for key, said in loaded.items() if isinstance(said, str)}
