"""The forms in which comparisons are published, each read strictly: what does not fit is refused, nothing is guessed.

| form | recognised by |
| --- | --- |
| our own | `history`, `text` |
| TRL | `prompt` (text or messages), `chosen`, `rejected`; or both as whole conversations that begin alike |
| LLaMA-Factory | `conversations` (or `instruction`, `input`, `history`), `chosen`, `rejected` |
| ms-swift | `messages` that end with the chosen reply, `rejected_response` |
| Anthropic HH | `chosen`, `rejected` as texts with Human: and Assistant: |
| ranked | `instruction` or `prompt`, and `output`: a list, the best first |
| scored | `prompt` or `instruction`, and `responses` or `completions`: a list of {text or response, score} |
| KTO | `prompt` or `messages`, `completion`, `label`; good and bad ones of one prompt are compared |
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from worker.engine.port import Exchange

CLIENT = frozenset({"user", "human", "client", "seeker", "求助者"})
SUPPORTER = frozenset({"assistant", "gpt", "supporter", "counselor", "支持者"})
_HH = re.compile(r"\n\n(Human|Assistant): ?")
_TEXTS = ("text", "response", "content", "completion")
_SCORES = ("score", "overall_score", "rating")


class Refused(Exception):  # says what happened
    """A line that has no known form; the message is the reason and quotes nothing of it."""


class Compared(NamedTuple):
    """What both replies answer, and the two."""

    history: tuple[Exchange, ...]
    text: str
    chosen: str
    rejected: str


class Rated(NamedTuple):
    """One reply, liked or not; the `told` is what it answers."""

    told: tuple[tuple[Exchange, ...], str]
    reply: str
    is_good: bool


def compared(item: Any) -> list[Compared]:
    """The comparisons of one published line. Raises `Refused`."""
    if not isinstance(item, Mapping):
        raise Refused("it is no object")
    return [_checked(one) for one in _read(item)]


def rated(item: Any) -> Rated | None:
    """One line of a KTO file; None if it is no such line. Raises `Refused`."""
    if not isinstance(item, Mapping) or not {"label", "kto_tag"} & item.keys():
        return None
    label = item.get("label", item.get("kto_tag"))
    if not isinstance(label, bool):
        raise Refused("its label is neither true nor false")
    messages = item.get("messages")
    if "completion" in item:
        return Rated(_told(item.get("prompt", messages)), _reply(item["completion"]), label)
    if isinstance(messages, list) and messages:
        return Rated(_told(messages[:-1]), _reply(messages[-1:]), label)
    raise Refused("it has a label and no reply")


def paired(rated_ones: Sequence[Rated]) -> Iterator[Compared]:
    """Every good reply against every bad one to the same words."""
    by_prompt: dict[Any, tuple[list[str], list[str]]] = {}
    for one in rated_ones:
        by_prompt.setdefault(one.told, ([], []))[not one.is_good].append(one.reply)
    for (history, text), (good, bad) in by_prompt.items():
        for chosen, rejected in product(good, bad):
            yield Compared(history, text, chosen, rejected)


def _read(item: Mapping[str, Any]) -> Iterator[Compared]:
    if "rejected_response" in item:
        yield from _swift(item)
    elif {"chosen", "rejected"} <= item.keys():
        yield _pair(item)
    elif isinstance(item.get("output"), list):
        yield from _ranked(item, [_reply(one) for one in item["output"]])
    elif scored := item.get("responses", item.get("completions")):
        yield from _scored(item, scored)
    else:
        raise Refused("it has none of the known forms")


def _pair(item: Mapping[str, Any]) -> Compared:
    chosen, rejected = item["chosen"], item["rejected"]
    named = [name for name in ("prompt", "conversations", "instruction") if name in item]
    if len(named) > 1:
        raise Refused(f"it has both {named[0]} and {named[1]}")
    if not named:
        return _implicit(chosen, rejected)
    told = _instructed(item) if named == ["instruction"] else _told_in(item, item[named[0]])
    return Compared(*told, _after(told, chosen), _after(told, rejected))


def _after(told: tuple[tuple[Exchange, ...], str], found: Any) -> str:
    """A reply, before which the prompt may be repeated."""
    if isinstance(found, list) and len(found) > 1:
        if _told(found[:-1]) != told:
            raise Refused("a compared reply follows something else than the prompt")
        return _reply(found[-1:])
    return _reply(found)


def _implicit(chosen: Any, rejected: Any) -> Compared:
    """Two whole conversations that differ in their last reply only: lists of messages (TRL) or texts (HH)."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        chosen, rejected = _hh(chosen), _hh(rejected)
    if not (isinstance(chosen, list) and isinstance(rejected, list) and chosen and rejected):
        raise Refused("it has no prompt")
    told = _told(chosen[:-1])
    if told != _told(rejected[:-1]):
        raise Refused("its two conversations differ before their last reply")
    return Compared(*told, _reply(chosen[-1:]), _reply(rejected[-1:]))


def _hh(text: str) -> list[dict[str, str]]:
    before, *parts = _HH.split(text)
    if before.strip() or not parts:
        raise Refused("it has no prompt")
    return [
        {"role": "user" if role == "Human" else "assistant", "content": said.strip()}
        for role, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def _swift(item: Mapping[str, Any]) -> Iterator[Compared]:
    messages, rejected = item.get("messages"), item["rejected_response"]
    if not isinstance(messages, list) or not messages:
        raise Refused("it has a rejected_response and no messages")
    told, chosen = _told(messages[:-1]), _reply(messages[-1:])
    for one in rejected if isinstance(rejected, list) else [rejected]:
        yield Compared(*told, chosen, _reply(one))


def _ranked(item: Mapping[str, Any], replies: Sequence[str]) -> Iterator[Compared]:
    told = _instructed(item) if "instruction" in item else _told_in(item, item.get("prompt"))
    if len(replies) < 2:  # noqa: PLR2004  # a comparison has two sides
        raise Refused("it ranks fewer than two replies")
    for worse in replies[1:]:
        yield Compared(*told, replies[0], worse)


def _scored(item: Mapping[str, Any], entries: Any) -> Iterator[Compared]:
    """The best one against every other that scored lower."""
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise Refused("its scored replies are no list of objects")
    scores = [(_score(entry), _reply(_one_of(entry, _TEXTS, "text"))) for entry in entries]
    best, chosen = max(scores, key=lambda one: one[0])
    worse = [reply for score, reply in scores if score < best]
    if not worse:
        raise Refused("all its replies scored the same")
    told = _instructed(item) if "instruction" in item else _told_in(item, item.get("prompt"))
    for reply in worse:
        yield Compared(*told, chosen, reply)


def _score(entry: Mapping[str, Any]) -> float:
    found = _one_of(entry, _SCORES, "score")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Refused("a score is no number")
    return float(found)


def _one_of(entry: Mapping[str, Any], names: Sequence[str], what: str) -> Any:
    found = [name for name in names if name in entry]
    if len(found) != 1:
        raise Refused(f"a scored reply has {'no' if not found else 'more than one'} {what}")
    return entry[found[0]]


def _instructed(item: Mapping[str, Any]) -> tuple[tuple[Exchange, ...], str]:
    """Alpaca's: `instruction` and `input` are what was said last, `history` what was said before."""
    parts = [item["instruction"], item.get("input") or ""]
    if not all(isinstance(part, str) for part in parts):
        raise Refused("its instruction or input is no text")
    history = item.get("history") or []
    if not isinstance(history, list) or not all(_is_pair(one) for one in history):
        raise Refused("its history is no list of pairs")
    return tuple(Exchange(*one) for one in history), "\n".join(part for part in parts if part)


def _is_pair(one: Any) -> bool:
    return isinstance(one, list | tuple) and len(one) == 2 and all(isinstance(part, str) for part in one)  # noqa: PLR2004  # a pair


def _told_in(item: Mapping[str, Any], prompt: Any) -> tuple[tuple[Exchange, ...], str]:
    """What a prompt says that stands alone: with Alpaca's fields beside it, it would not be the whole."""
    if others := [name for name in ("history", "input") if item.get(name)]:
        raise Refused(f"it has a prompt and {' and '.join(others)}")
    return _told(prompt)


def _told(prompt: Any) -> tuple[tuple[Exchange, ...], str]:
    """What a reply answers: a text, or messages by turns, the client first and last; a system prompt goes."""
    if isinstance(prompt, str):
        if _HH.search(f"\n\n{prompt.lstrip()}"):
            return _told(_hh(f"\n\n{prompt.strip()}".removesuffix("\n\nAssistant:")))
        return (), prompt
    if not isinstance(prompt, list):
        raise Refused("it has no prompt")
    said = [(role, text) for role, text in map(_message, prompt) if role != "system"]
    roles = [role for role, _ in said]
    if not said or len(said) % 2 == 0 or roles != [*["client", "supporter"] * (len(said) // 2), "client"]:
        raise Refused("its turns do not alternate, the client first and last")
    texts = [text for _, text in said]
    return tuple(Exchange(*pair) for pair in zip(texts[:-1:2], texts[1::2], strict=True)), texts[-1]


def _reply(found: Any) -> str:
    """A text, a message, or a list of one message, spoken by the supporter."""
    if isinstance(found, list):
        if len(found) != 1:
            raise Refused("a compared reply is not one message")
        found = found[0]
    if isinstance(found, str):
        return found
    role, text = _message(found)
    if role != "supporter":
        raise Refused("a compared reply is not the supporter's")
    return text


def _message(message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise Refused("a message is no object")
    if {"role", "from"} <= message.keys() or {"content", "value"} <= message.keys():
        raise Refused("a message has the fields of two forms")
    role, text = message.get("role", message.get("from")), message.get("content", message.get("value"))
    if not isinstance(text, str):
        raise Refused("a message has no text")
    if role == "system":
        return "system", text
    if role in CLIENT:
        return "client", text
    if role in SUPPORTER:
        return "supporter", text
    raise Refused("a message is from somebody unknown")


def _checked(one: Compared) -> Compared:
    if not (one.text.strip() and one.chosen.strip() and one.rejected.strip()):
        raise Refused("the words or a reply are empty")
    if one.chosen.strip() == one.rejected.strip():
        raise Refused("both replies are the same")
    return one
