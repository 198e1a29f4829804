"""The codes of the database (states, kinds, actions) as an operator reads them.

In English a code is its own word. In Chinese the console's word stands before it, and the code stays in brackets,
because options such as `--state` and the JSON take the code.
"""

from console import audit_wording, words
from mindglm import language

_CODES_ARE_WORDS = "en"


def label(kind: str, code: str | None) -> str | None:
    """`code` of a `kind` that begins keys of console/locales: standing, turn, delivery, audit, actor, speaker, …"""
    locale = language.locale()
    if not code or locale == _CODES_ARE_WORDS:
        return code
    said = words.load()[locale].sentences.get(f"{kind}_{code}")
    return code if said is None else f"{said} ({code})"


def reason(action: str, text: str | None) -> str:
    """Why, as the audit keeps it: what the program wrote itself is said in the operator's language."""
    locale = language.locale()
    return (text or "") if locale == _CODES_ARE_WORDS else audit_wording.reason(words.load()[locale], action, text)
