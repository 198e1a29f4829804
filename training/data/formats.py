"""The forms in which counselling dialogues are published, read as turns: who spoke, and what.

Understood, one dialogue a line, in a JSON list, or a whole file: a list of {role, content} (SmileChat); an object with
`messages` ({role, content}), `conversations` ({from, value}: ShareGPT) or `dialogue` (lines that begin with
求助者：/支持者：, CPsyCoun; or {role, content}); an object with `history` ([question, answer] pairs), `input` or
`instruction`, and `output` (Alpaca with history); a list of [text, reply] pairs (our own).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from training.data.dialogue import open_text
from training.trouble import TrainingTrouble


class Role(StrEnum):
    """Who speaks."""

    CLIENT = "client"
    SUPPORTER = "supporter"


class Turn(NamedTuple):
    """One turn as published."""

    role: Role
    text: str


_ROLES = {
    **dict.fromkeys(("client", "user", "human", "seeker", "usr", "求助者", "来访者", "咨询者"), Role.CLIENT),
    **dict.fromkeys(("counselor", "counsellor", "assistant", "gpt", "supporter", "sys"), Role.SUPPORTER),
    **dict.fromkeys(("支持者", "咨询师", "心理咨询师"), Role.SUPPORTER),
}
_LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog")
_PAIR = 2


def read(path: Path) -> Iterator[list[Turn] | None]:
    """The dialogues of a file in order; None where one is there that cannot be read. Raises `TrainingTrouble`."""
    try:
        with open_text(path) as file:
            items = _items(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingTrouble(f"{path} cannot be read ({type(error).__name__}).") from error
    except ValueError as error:
        raise TrainingTrouble(f"{path} is neither JSON nor JSON lines.") from error
    for item in items:
        yield _turns(item)


def _items(content: str) -> list[Any]:
    """The dialogues of a document: each line, or each element, or the document itself."""
    lines = [line for line in content.splitlines() if line.strip()]
    try:
        parsed = [json.loads(line) for line in lines]
    except ValueError:
        parsed = [json.loads(content)]
    if len(parsed) == 1 and isinstance(parsed[0], list) and not _is_dialogue(parsed[0]):
        return list(parsed[0])
    return parsed


def _is_dialogue(items: Sequence[Any]) -> bool:
    first = items[0] if items else None
    if isinstance(first, Mapping):
        return "role" in first or "from" in first
    return isinstance(first, list) and len(first) == _PAIR and all(isinstance(part, str) for part in first)


def _turns(item: Any) -> list[Turn] | None:
    """The turns of one dialogue, without system prompts; None if it has another form or another role."""
    try:
        return _from_list(item) if isinstance(item, list) else _from_object(item)
    except (KeyError, TypeError, ValueError):
        return None


def _from_object(item: Mapping[str, Any]) -> list[Turn]:
    for name in _LISTS:
        if name in item:
            return _from_list(item[name])
    question = "".join(str(item.get(name) or "") for name in ("instruction", "input"))
    return _from_list([*(item.get("history") or ()), [question, item["output"]]])


def _from_list(items: Sequence[Any]) -> list[Turn]:
    return [turn for item in items for turn in _spoken(item)]


def _spoken(item: Any) -> Iterator[Turn]:
    if isinstance(item, str):
        label, _, text = item.replace(":", "：", 1).partition("：")
        yield Turn(_ROLES[label.strip()], text)
    elif isinstance(item, Mapping):
        role = str(item.get("role") or item["from"]).lower()
        if role != "system":
            yield Turn(_ROLES[role], str(item["content"] if "content" in item else item["value"]))
    else:
        text, reply = item
        yield Turn(Role.CLIENT, str(text))
        yield Turn(Role.SUPPORTER, str(reply))
