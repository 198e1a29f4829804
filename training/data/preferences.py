"""Comparisons of two replies to the same words: what reward models and DPO learn from.

Each names where it comes from. Kinds: `synthetic:…` (a degraded reply, made by `degradations`), `feedback` (people's
👍 and 👎, with a consent of its own), or the name of a published set.
"""

import dataclasses
import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data import preference_forms
from training.data.encoding import Encoded, Encoder, Part
from training.data.json_lines import content_of, numbered_lines, parsed
from training.trouble import TrainingTrouble
from worker.engine.port import Exchange

_BEARABLE = 0.05
"""The share of lines that may be left out; more of them mean that the file is not what it seems to be."""

_NAMED = 3  # of the lines left out, so many are named


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
        text=_text(item["text"]),
        chosen=_text(item["chosen"]),
        rejected=_text(item["rejected"]),
        origin=_text(item.get("origin", "")),
        rejected_after=(_exchanges(after[0]), _text(after[1])) if after else None,
    )


def read_preferences(path: Path, *, say: Callable[[str], None] = lambda _line: None) -> list[Preference]:
    """The comparisons of a file in any published form (`preference_forms`), or in our own.

    Single lines that have no known form are counted and said with their reasons; raises `TrainingTrouble` where there
    are many of them, or nothing else.
    """
    origin = path.name.split(".")[0]
    found: list[Preference] = []
    votes: list[preference_forms.Rated] = []
    refused: list[str] = []
    items = _items(path)
    for number, item in items:
        try:
            if isinstance(item, Mapping) and {"history", "text"} <= item.keys():
                found.append(_own(item, origin))
            elif (vote := preference_forms.rated(item)) is not None:
                votes.append(vote)
            else:
                found += [Preference(**one._asdict(), origin=origin) for one in preference_forms.compared(item)]
        except preference_forms.Refused as reason:
            refused.append(f"{path.name}:{number}: {reason}")
    found += [Preference(**one._asdict(), origin=origin) for one in preference_forms.paired(votes)]
    if refused:
        shown = "; ".join(refused[:_NAMED])
        if not found or len(refused) > max(1, _BEARABLE * len(items)):
            raise TrainingTrouble(f"{path} holds {len(refused)} lines that are no comparisons: {shown}.")
        say(f"{path.name}: {len(refused)} of {len(items)} lines left out: {shown}")
    if not found:
        raise TrainingTrouble(f"{path} holds no comparisons.")
    return found


def _items(path: Path) -> list[tuple[int, Any]]:
    """What stands on each line, or in a JSON list; None where a line is no JSON."""
    content = content_of(path)
    if content.lstrip().startswith("["):
        whole = parsed(content)
        if not isinstance(whole, list):
            raise TrainingTrouble(f"{path} begins as a JSON list and is none.")
        return list(enumerate(whole, start=1))
    return [(number, parsed(line)) for number, line in numbered_lines(content)]


def _own(item: Mapping[str, Any], origin: str) -> Preference:
    try:
        return from_json({"origin": origin, **item})
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise preference_forms.Refused("it is our own form, but not whole") from error


def encode(encoder: Encoder, preference: Preference, *, length: int) -> tuple[Encoded, Encoded] | None:
    """The chosen and the rejected reply after their prompt; None if they do not fit into `length` tokens."""
    prompt = encoder.prompt(preference.history, preference.text)
    other = encoder.prompt(*preference.rejected_after) if preference.rejected_after else prompt
    chosen = _whole(prompt, encoder.reply(preference.chosen))
    rejected = _whole(other, encoder.reply(preference.rejected))
    return None if max(len(chosen.ids), len(rejected.ids)) > length else (chosen, rejected)


def _whole(prompt: Sequence[int], reply: Sequence[int]) -> Encoded:
    return Encoded([*prompt, *reply], [*[Part.GIVEN] * len(prompt), *[Part.REPLY] * len(reply)])


def _exchanges(pairs: Sequence[Sequence[str]]) -> tuple[Exchange, ...]:
    return tuple(Exchange(_text(text), _text(reply)) for text, reply in pairs)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError
    return found
