"""Somebody else's words in front of a person's own: marked, so that nobody takes them for theirs.

The mark is part of the stored text: the model, the staff and an export read the same.
"""

import re

_QUOTED = "〔引用别人的话：{}〕"
_FORWARDED = "〔转发别人的话：{}〕"
_MARKED = re.compile(r"〔(?:引用|转发)别人的话：(?P<others>[^〔〕]*)〕\n?")
_INNER = str.maketrans("〔〕", "（）")


def marked(others: str, own: str, *, is_forwarded: bool) -> str:
    """`own` behind the words of somebody else."""
    mark = (_FORWARDED if is_forwarded else _QUOTED).format(others.translate(_INNER))
    return f"{mark}\n{own}" if own else mark


def own_words(text: str) -> str:
    """What the person wrote themselves of a text that is stored; empty if it is all somebody else's."""
    return _MARKED.sub("", text, count=1) if text.startswith("〔") else text


def others_words(text: str) -> str:
    """What stands marked as somebody else's in a text that is stored."""
    found = _MARKED.match(text)
    return found["others"] if found else ""
