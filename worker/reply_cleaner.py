"""What a model writes and does not mean for people: thoughts, frames of prompts, the other side's lines, loops.

The patterns stand in `worker.reply_markers`, repetition in `worker.reply_loops`. It stands before the guard, works on
the reply so far and on the finished one alike, and knows no engine. While a reply grows, a tail that may be the
beginning of something is held back.
"""

import json
import re
from dataclasses import dataclass

from worker.reply_loops import without_loops
from worker.reply_markers import (
    BRACKETED_THOUGHT,
    BYTE,
    CLOSE,
    EMPTY_THOUGHT,
    FENCED_THOUGHT,
    HALF_CHANNEL,
    LABELLED_REPLY,
    LABELLED_THOUGHT,
    LEADING,
    NEXT_SIDE,
    OPEN,
    QUOTED_THOUGHT,
    ROUND,
    SOLUTION,
    TOOL_CALL,
    held_back,
)

_ENDS = "。！？!?…”』」）)~～\n"
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")
_MIN_KEPT_SHARE = 0.3
_ASCII = 0x80
_WRAPPED = re.compile(
    r"\s*(?:```(?:json|text|txt|plaintext|markdown|md)?[ \t]*\n(?P<fenced>.*?)\n?[ \t]*(?:```\s*)?|(?P<bare>\{.*))",
    re.DOTALL | re.IGNORECASE,
)


_REPLY_KEYS = ("reply", "response", "answer", "final_answer", "content", "回复", "回答", "答复", "output")
"""Which of several strings in an object is the reply."""


@dataclass(frozen=True, slots=True)
class CleanedReply:
    """`is_cut`: nothing that the model writes after this belongs to the reply. `was_thinking_aloud`: it never said
    where its thoughts began, so that only their end tells them apart.
    """

    text: str
    is_cut: bool = False
    was_thinking_aloud: bool = False


def clean(raw: str, *, is_finished: bool, thinks_aloud: bool = False) -> CleanedReply:
    """The part of a model's output that is meant for the person.

    `thinks_aloud`: this model is known to begin with thoughts that it does not mark, so nothing is shown before their
    end.
    """
    text = _unwrapped(_CONTROLS.sub("", raw).lstrip("\ufeff\u200b\u2060"), is_finished=is_finished)
    text = _without_stage_directions(BYTE.sub(_as_character, TOOL_CALL.sub("", text)))
    text = EMPTY_THOUGHT.sub("", FENCED_THOUGHT.sub("", text))
    text, is_thinking, was_aloud = _without_thoughts(
        text, is_finished=is_finished, hides_all=thinks_aloud and not is_finished
    )
    text, is_labelled = _without_labelled_thoughts(text, is_finished=is_finished)
    text = _without_lead(SOLUTION.sub("", text))
    text, is_framed = _up_to_the_next_side(text)
    text, is_looping = without_loops(text)
    is_cut = is_framed or is_looping
    if not (is_finished or is_cut or is_thinking or is_labelled):
        text = text[: len(text) - held_back(text)]
    return CleanedReply(text.strip(), is_cut, was_aloud)


def without_thoughts(raw: str) -> str:
    """What a model answers where an answer is data and not words for a person: all but its marked thoughts."""
    return _without_thoughts(FENCED_THOUGHT.sub("", raw), is_finished=True, hides_all=False)[0].strip()


def ended_in_the_middle(text: str) -> bool:
    """Whether a reply that was cut off by its length breaks off within a sentence."""
    return bool(text) and text[-1] not in _ENDS


def up_to_its_last_sentence(text: str) -> str | None:
    """Without the sentence that breaks off; None where that would leave too little."""
    end = max((text.rfind(mark) for mark in _ENDS), default=-1)
    return text[: end + 1].rstrip() if end + 1 >= _MIN_KEPT_SHARE * len(text) and end > 0 else None


def _without_thoughts(text: str, *, is_finished: bool, hides_all: bool) -> tuple[str, bool, bool]:
    """Also whether it ends within a thought, and whether one ended that never began."""
    kept: list[str] = []
    position, depth, last_end, was_aloud = 0, 0, 0, False
    while found := _next_border(text, position):
        is_end, start, end = found
        if not is_end:
            if not depth:
                kept.append(text[position:start])
            depth += 1
        elif depth:
            depth -= 1
        else:
            was_aloud = was_aloud or bool(text[:start].strip())
            kept = []  # the thought began with the reply
        position, last_end = end, end if is_end else last_end
    if not depth:
        if hides_all and not was_aloud and position == 0:
            return "", True, was_aloud
        rest = text[position:]
        return "".join([*kept, rest if is_finished else HALF_CHANNEL.sub("", rest)]), False, was_aloud
    if is_finished and last_end:  # one was mentioned within another, and only that one ended
        return "".join([*kept, _unopened(text[last_end:])]), False, was_aloud
    return "".join(kept), True, was_aloud


def _next_border(text: str, position: int) -> tuple[bool, int, int] | None:
    """Whether a thought ends there or begins, and where that is written."""
    opened, closed = OPEN.search(text, position), CLOSE.search(text, position)
    if closed is not None and (opened is None or closed.start() <= opened.start()):
        return True, closed.start(), closed.end()
    return (False, opened.start(), opened.end()) if opened is not None else None


def _unopened(text: str) -> str:
    opened = OPEN.search(text)
    return text if opened is None else text[: opened.start()]


def _without_labelled_thoughts(text: str, *, is_finished: bool) -> tuple[str, bool]:
    """A reply may call its parts thinking and answer in words; also whether it may still be within the first."""
    if LABELLED_THOUGHT.match(text) is None:
        return text, False
    if reply := LABELLED_REPLY.search(text):
        return text[reply.end() :], False
    return (text, False) if is_finished else ("", True)


def _unwrapped(text: str, *, is_finished: bool) -> str:
    """Out of an object or a fence around the whole of it; nothing is shown of one that is not whole."""
    if (fenced := _WRAPPED.fullmatch(text)) is None:
        return text
    inner = fenced["fenced"] or fenced["bare"] or ""
    if "```" in inner:  # one of several
        return text
    if not inner.lstrip().startswith("{"):
        return text if fenced["fenced"] is None else inner
    try:
        said = json.loads(inner)
    except ValueError:
        return text if is_finished else ""
    words = {name.lower(): value for name, value in said.items() if isinstance(value, str)}
    if len(said) == len(words) == 1:
        return next(iter(words.values()))
    return next((words[name] for name in _REPLY_KEYS if name in words), text)


def _as_character(byte: re.Match[str]) -> str:
    """A token that stands for one byte, which a server did not join; of others than ASCII's the rest is lost."""
    code = int(byte[1], 16)
    return chr(code) if code < _ASCII else ""


def _without_stage_directions(text: str) -> str:
    thought = BRACKETED_THOUGHT.match(text) or QUOTED_THOUGHT.match(text)
    return text if thought is None else text[thought.end() :]


def _without_lead(text: str) -> str:
    while lead := LEADING.match(text):
        text = text[lead.end() :]
    return text


def _up_to_the_next_side(text: str) -> tuple[str, bool]:
    found = NEXT_SIDE.search(text)
    return (text, False) if found is None else (ROUND.sub("", text[: found.start()].rstrip(" \t\n-*•>#【[（(<")), True)
