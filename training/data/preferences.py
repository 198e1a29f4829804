"""Comparisons of two replies to the same words: what reward models and DPO learn from.

Each names where it comes from. Kinds: `synthetic:…` (a degraded reply, made by `degradations`), `feedback` (people's
👍 and 👎, with a consent of its own), or the name of a published set.
"""

import dataclasses
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data.dialogue import open_text
from training.data.encoding import Encoded, Encoder, Part
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange

_SPEAKERS = ("user", "human", "client", "seeker", "求助者")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """After `history` a person said `text`; `chosen` is the better answer.

    `rejected_after` is what came before the rejected reply where that was something else: history and words.
    """

    history: tuple[Exchange, ...]
    text: str
    chosen: str
    rejected: str
    origin: str
    rejected_after: tuple[tuple[Exchange, ...], str] | None = None


def write_preferences(path: Path, preferences: Iterable[Preference]) -> int:
    """One JSON object a line, gzipped; returns how many."""
    count = 0
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        for one in preferences:
            file.write((json.dumps(as_json(one), ensure_ascii=False) + "\n").encode())
            count += 1
    return count


def as_json(preference: Preference) -> dict[str, Any]:
    """Our own form of it."""
    fields = {field.name: getattr(preference, field.name) for field in dataclasses.fields(preference)}
    return {name: value for name, value in fields.items() if value is not None}


def from_json(item: Mapping[str, Any]) -> Preference:
    """What `as_json` made."""
    after = item.get("rejected_after")
    return Preference(
        history=_exchanges(item["history"]),
        text=str(item["text"]),
        chosen=str(item["chosen"]),
        rejected=str(item["rejected"]),
        origin=str(item.get("origin", "")),
        rejected_after=(_exchanges(after[0]), str(after[1])) if after else None,
    )


def read_preferences(path: Path) -> list[Preference]:
    """Our own form, TRL's ({prompt, chosen, rejected}, text or messages) or LLaMA-Factory's ({conversations, …}).

    Raises `TrainingTrouble`.
    """
    try:
        with open_text(path) as file:
            content = file.read()
        items = json.loads(content) if content.lstrip().startswith("[") else _lines(content)
        return [_preference(item, origin=path.name.split(".")[0]) for item in items]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingTrouble(
            f"{path} holds no comparisons in a form that is known ({type(error).__name__})."
        ) from error


def encode(encoder: Encoder, preference: Preference, *, length: int) -> tuple[Encoded, Encoded] | None:
    """The chosen and the rejected reply after their prompt; None if they do not fit into `length` tokens."""
    prompt = encoder.prompt(preference.history, preference.text)
    other = encoder.prompt(*preference.rejected_after) if preference.rejected_after else prompt
    chosen = _whole(prompt, encoder.reply(preference.chosen))
    rejected = _whole(other, encoder.reply(preference.rejected))
    return None if max(len(chosen.ids), len(rejected.ids)) > length else (chosen, rejected)


def _whole(prompt: Sequence[int], reply: Sequence[int]) -> Encoded:
    return Encoded([*prompt, *reply], [*[Part.GIVEN] * len(prompt), *[Part.REPLY] * len(reply)])


def _lines(content: str) -> Iterator[Any]:
    return (json.loads(line) for line in content.splitlines() if line.strip())


def _preference(item: Mapping[str, Any], *, origin: str) -> Preference:
    if "history" in item:
        return from_json({"origin": origin, **item})
    said = _said(item)
    chosen, rejected = _answer(item["chosen"]), _answer(item["rejected"])
    if not (said and len(said) % 2 and chosen and rejected):
        raise ValueError
    return Preference(
        history=tuple(Exchange(*pair) for pair in zip(said[:-1:2], said[1::2], strict=True)),
        text=said[-1],
        chosen=chosen,
        rejected=rejected,
        origin=origin,
    )


def _said(item: Mapping[str, Any]) -> list[str]:
    """What both sides said before the compared replies, the client first and last."""
    earlier = item.get("prompt", item.get("conversations"))
    if earlier is None:  # TRL's implicit prompt: both lists begin alike
        earlier = item["chosen"][:-1]
    if isinstance(earlier, str):
        return [earlier]
    said = [_content(message) for message in earlier if _role(message) != "system"]
    if [_role(message) in _SPEAKERS for message in earlier if _role(message) != "system"][:1] != [True]:
        raise ValueError
    return said


def _exchanges(pairs: Sequence[Sequence[str]]) -> tuple[Exchange, ...]:
    return tuple(Exchange(str(text), str(reply)) for text, reply in pairs)


def _answer(reply: Any) -> str:
    if isinstance(reply, list):
        reply = reply[-1]
    return reply if isinstance(reply, str) else _content(reply)


def _role(message: Mapping[str, Any]) -> str:
    return str(message.get("role", message.get("from")))


def _content(message: Mapping[str, Any]) -> str:
    return str(message["content"] if "content" in message else message["value"])
