"""The forms in which counselling dialogues are published, read strictly as turns: who spoke, and what.

| form | recognised by |
| --- | --- |
| SmileChat, SoulChat | a list of {role, content}; or `messages` |
| ShareGPT | `conversations`: {from, value} |
| EmoLLM | `conversation`: {input, output}, perhaps with system |
| CPsyCoun | `dialogue`: lines that begin with 求助者：/支持者：; or {role, content} |
| Alpaca | `instruction`, `input`, `output`, perhaps `history` |
| ChatGLM2, ms-swift | `prompt` or `query`, `response`, perhaps `history` |
| our own | a list of [text, reply] |

One dialogue a line, or all in a JSON list. What has another form is refused with its line and the reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from training.data.json_lines import content_of, numbered_lines, parsed


class Role(StrEnum):
    """Who speaks."""

    CLIENT = "client"
    SUPPORTER = "supporter"


class Turn(NamedTuple):
    """One turn as published."""

    role: Role
    text: str


class Unread(NamedTuple):
    """A dialogue that has no known form. `number` is its line, or its place in a list; the reason quotes nothing."""

    number: int
    reason: str


class _Refused(Exception):  # says what happened
    """The message is the reason."""


_ROLES = {
    **dict.fromkeys(("client", "user", "human", "seeker", "usr", "求助者", "来访者", "咨询者"), Role.CLIENT),
    **dict.fromkeys(("counselor", "counsellor", "assistant", "gpt", "supporter", "sys"), Role.SUPPORTER),
    **dict.fromkeys(("支持者", "咨询师", "心理咨询师"), Role.SUPPORTER),
}
_LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog")
_LAST = (("prompt", "response"), ("query", "response"), ("instruction", "output"))
_PAIR = 2


def read(path: Path) -> Iterator[list[Turn] | Unread]:
    """The dialogues of a file in order. Raises `TrainingTrouble` if it cannot be opened."""
    for number, item in _items(content_of(path)):
        try:
            yield _from_list(item) if isinstance(item, list) else _from_object(item)
        except _Refused as reason:
            yield Unread(number, str(reason))


def _items(content: str) -> list[tuple[int, Any]]:
    """The dialogues of a document: each line, or each element, or the document itself."""
    items = [(number, parsed(line)) for number, line in numbered_lines(content)]
    if len(items) > 1 and items[0][1] is None and (whole := parsed(content)) is not None:
        items = [(1, whole)]  # one document over many lines
    if len(items) == 1 and isinstance(items[0][1], list) and not _is_dialogue(items[0][1]):
        return list(enumerate(items[0][1], start=1))
    return items


def _is_dialogue(items: Sequence[Any]) -> bool:
    first = items[0] if items else None
    if isinstance(first, Mapping):
        return "role" in first or "from" in first
    return isinstance(first, list) and len(first) == _PAIR and all(isinstance(part, str) for part in first)


def _from_object(item: Any) -> list[Turn]:
    if not isinstance(item, Mapping):
        raise _Refused("it is no JSON object or list")
    lists = [name for name in _LISTS if name in item]
    lasts = [pair for pair in _LAST if all(name in item for name in pair)]
    if len(lists) + len(lasts) != 1:
        raise _Refused("it has none of the known forms" if not (lists or lasts) else "it has the fields of two forms")
    if lists:
        return _from_list(item[lists[0]])
    (asked, answered) = lasts[0]
    question = [item[asked], *([item.get("input") or ""] if asked == "instruction" else [])]
    if asked != "instruction" and item.get("input"):
        raise _Refused("it has the fields of two forms")
    history = item.get("history") or []
    if not isinstance(history, list):
        raise _Refused("its history is no list")
    text = "\n".join(part for part in map(_text, question) if part)
    return _from_list([*history, [text, item[answered]]])


def _from_list(items: Any) -> list[Turn]:
    if not isinstance(items, list):
        raise _Refused("its turns are no list")
    return [turn for item in items for turn in _spoken(item)]


def _spoken(item: Any) -> Iterator[Turn]:
    if isinstance(item, str):
        label, colon, text = item.replace(":", "：", 1).partition("：")
        if not colon:
            raise _Refused("a line does not say who speaks")
        yield Turn(_role(label.strip()), text)
    elif isinstance(item, Mapping) and {"input", "output"} <= item.keys():
        yield Turn(Role.CLIENT, _text(item["input"]))
        yield Turn(Role.SUPPORTER, _text(item["output"]))
    elif isinstance(item, Mapping):
        if {"role", "from"} <= item.keys() or {"content", "value"} <= item.keys():
            raise _Refused("a turn has the fields of two forms")
        role, text = item.get("role", item.get("from")), item.get("content", item.get("value"))
        if not isinstance(role, str):
            raise _Refused("a turn does not say who speaks")
        if role.lower() != "system":
            yield Turn(_role(role.lower()), _text(text))
    elif isinstance(item, list) and len(item) == _PAIR:
        yield Turn(Role.CLIENT, _text(item[0]))
        yield Turn(Role.SUPPORTER, _text(item[1]))
    else:
        raise _Refused("a turn is neither a text, an object nor a pair")


def _role(name: str) -> Role:
    if name not in _ROLES:
        raise _Refused("a turn is from somebody unknown")
    return _ROLES[name]


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise _Refused("a turn has no text")
    return found
