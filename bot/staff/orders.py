"""Parses what admins write to the bot: `/admin WORD …`, in English or Chinese."""

import re
from dataclasses import dataclass
from enum import StrEnum

_ADMIN = re.compile(r"/(?:admin|管理)(?:@\w+)?(?:\s+(?P<rest>.*))?", re.DOTALL | re.IGNORECASE)


class Verb(StrEnum):
    """The word after `/admin`."""

    HELP = "help"
    STATUS = "status"
    SESSIONS = "sessions"
    SHOW = "show"
    TEXT = "text"
    RESET = "reset"
    CLOSE = "close"
    BLOCK = "block"
    UNBLOCK = "unblock"
    TAKEOVER = "takeover"
    RELEASE = "release"
    PHONE = "phone"
    SAY = "say"
    ALERTS = "alerts"


_VERBS = {verb.value: verb for verb in Verb} | {
    "帮助": Verb.HELP,
    "状态": Verb.STATUS,
    "对话": Verb.SESSIONS,
    "查看": Verb.SHOW,
    "原文": Verb.TEXT,
    "重置": Verb.RESET,
    "结束": Verb.CLOSE,
    "拉黑": Verb.BLOCK,
    "解除": Verb.UNBLOCK,
    "接手": Verb.TAKEOVER,
    "交还": Verb.RELEASE,
    "手机接管": Verb.PHONE,
    "说": Verb.SAY,
    "提醒": Verb.ALERTS,
}
_WORDS = {"全部": "all", "所有": "all", "确认": "yes", "开": "on", "关": "off", "用户": "person", "人": "person"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`whom` is the first word behind the verb, `rest` what follows it: a reason, or words to say."""

    verb: Verb
    whom: str = ""
    rest: str = ""


def read(text: str) -> Order | None:
    """Parse a whole message; an unknown verb asks for help. None if it is no order."""
    found = _ADMIN.fullmatch(text.strip())
    if found is None:
        return None
    verb, rest = _split(found["rest"] or "")
    whom, rest = _split(rest)
    return Order(verb=_VERBS.get(verb.lower(), Verb.HELP), whom=meaning(whom), rest=rest)


def meaning(word: str) -> str:
    """The English word for one of the few Chinese ones."""
    return _WORDS.get(word, word)


def first_word(text: str) -> tuple[str, str]:
    """A word, as `meaning` reads it, and what follows it."""
    word, rest = _split(text)
    return meaning(word), rest


def _split(text: str) -> tuple[str, str]:
    parts = text.strip().split(maxsplit=1)
    return (parts[0] if parts else "", parts[1] if len(parts) > 1 else "")
