"""The codes of the database (states, kinds, actions) as an operator reads them.

In English a code is its own word. In Chinese the console's word stands before it, and the code stays in brackets,
because options such as `--state` and the JSON take the code.
"""

import tomllib
from functools import cache
from importlib.resources import files

from care.texts import Texts
from mindglm import language


def label(kind: str, code: str | None) -> str | None:
    """`code` of a `kind` that begins keys of console/locales: standing, turn, delivery, audit, actor, speaker, …"""
    if not code or (said := _words(language.locale()).get(f"{kind}_{code}")) is None:
        return code
    return f"{said} ({code})"


def reason(action: str, text: str | None) -> str:
    """Why, as the audit keeps it: what the program wrote itself is said in the operator's language."""
    from console import audit_wording

    locale = language.locale()
    return (text or "") if locale == "en" else audit_wording.reason(Texts(locale, _words(locale)), action, text)


@cache
def _words(locale: str) -> dict[str, str]:
    if locale == "en":
        return {}
    loaded = tomllib.loads((files("console") / "locales" / f"{locale}.toml").read_text("utf-8"))
    return {key: said for key, said in loaded.items() if isinstance(said, str)}
