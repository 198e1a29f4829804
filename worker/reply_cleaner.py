"""What a model writes and does not mean for people: thoughts, frames of prompts, the other side's lines, loops.

It stands before the guard, works on the reply so far and on the finished one alike, and knows no engine. While a reply
grows, a tail that may be the beginning of something is held back.
"""

import re
from dataclasses import dataclass

_THOUGHT = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis)"
_OPEN = re.compile(rf"<\s*{_THOUGHT}\b[^<>]*>|◁think▷|<\|begin_of_thought\|>", re.IGNORECASE)
_CLOSE = re.compile(rf"<\s*/\s*{_THOUGHT}\s*>|◁/think▷|<\|end_of_thought\|>", re.IGNORECASE)
_SOLUTION = re.compile(r"<\|(?:begin|end)_of_solution\|>|</?\s*(?:answer|response|output)\s*>", re.IGNORECASE)

_OUR_LABELS = (
    *("assistant", "supporter", "counselor", "counsellor", "therapist", "listener", "helper", "chatbot", "chatglm"),
    *("mindglm", "bot", "ai", "gpt", "model", "支持者", "咨询师", "心理咨询师", "倾听者", "助手", "机器人", "答"),
)
_THEIR_LABELS = (
    *("human", "user", "seeker", "help-seeker", "help seeker", "client", "patient", "visitor", "system"),
    *("instruction", "input", "求助者", "来访者", "倾诉者", "用户", "人类", "系统", "患者", "问"),
)
_INSIDE_LABELS = ("human", "user", "seeker", "supporter", "assistant", "求助者", "支持者")
"""Cut also within a line: nobody is addressed by them."""
_OURS = f"(?:{'|'.join(_OUR_LABELS)})"
_THEIRS = f"(?:{'|'.join(_THEIR_LABELS)})"
_LABEL_TAIL = r"\s*(?:\*\*|__)?\s*[:：]\s*(?:\*\*|__)?"
_FRAME = (
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|\[/?INST\]|<</?SYS>>|</?s>|</?(?:eos|bos|pad|unk)>"
    r"|<(?:start|end)_of_turn>|\[gMASK\]|<sop>|<eop>|\[Round\s*\d*\]?"
)
_HEADING = rf"#{{2,6}}\s*(?:{_OURS}|{_THEIRS})(?=\s*(?:[:：]|\n|$))"
_ROLE_LINE = rf"(?:^|\n)[ \t>]*(?:\*\*|__)?(?:{_OURS}|{_THEIRS}){_LABEL_TAIL}"
_ROLE_INSIDE = rf"(?<![A-Za-z])(?:#{{2,6}}\s*)?(?:{'|'.join(_INSIDE_LABELS)}){_LABEL_TAIL}"

_LEADING = re.compile(
    rf"\s*(?:(?:{_FRAME})\s*(?:(?:{_OURS})\s*\n)?|(?:#{{2,6}}\s*)?(?:\*\*|__)?{_OURS}{_LABEL_TAIL}|#{{2,6}}\s*{_OURS}\s*\n)",
    re.IGNORECASE,
)
_NEXT_SIDE = re.compile(rf"{_FRAME}|{_HEADING}|{_ROLE_LINE}|{_ROLE_INSIDE}", re.IGNORECASE)
_MAX_MARKER = 44
"""Characters: a tail as long as that may still become a marker."""
_BRACKETS = ("[round", "[inst]", "[/inst]", "[gmask]")
_DECORATION = "#*_> \t\n"

_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?\n]+|[^。！？!?\n]+\Z")
_MIN_LOOPED = 4
"""Characters of a sentence without its punctuation: shorter ones are repeated for comfort."""
_MAX_IN_A_ROW = 7
_MAX_IN_ALL = 7
_MAX_CYCLE = 6
_UNIT_LOOP = re.compile(
    r"(?P<letter>\w)(?P=letter){19,}|(?P<mark>[^\w\s])(?P=mark){59,}|(?P<unit>[^\W_]{2,40}?[^\w\n]{0,2})(?P=unit){5,}"
)
_ENDS = "。！？!?…”』」）)~～\n"
_MIN_KEPT_SHARE = 0.3


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
    text = raw.lstrip("\ufeff\u200b\u2060")
    text, is_thinking, was_aloud = _without_thoughts(text, hides_all=thinks_aloud and not is_finished)
    text = _without_lead(_SOLUTION.sub("", text))
    text, is_framed = _up_to_the_next_side(text)
    text, is_looping = _without_loops(text)
    is_cut = is_framed or is_looping
    if not (is_finished or is_cut or is_thinking):
        text = text[: len(text) - _held_back(text)]
    return CleanedReply(text.strip(), is_cut, was_aloud)


def ended_in_the_middle(text: str) -> bool:
    """Whether a reply that was cut off by its length breaks off within a sentence."""
    return bool(text) and text[-1] not in _ENDS


def up_to_its_last_sentence(text: str) -> str | None:
    """Without the sentence that breaks off; None where that would leave too little."""
    end = max((text.rfind(mark) for mark in _ENDS), default=-1)
    return text[: end + 1].rstrip() if end + 1 >= _MIN_KEPT_SHARE * len(text) and end > 0 else None


def _without_thoughts(text: str, *, hides_all: bool) -> tuple[str, bool, bool]:
    """Also whether it ends within a thought, and whether one ended that never began."""
    kept: list[str] = []
    position, was_aloud = 0, False
    while True:
        opened, closed = _OPEN.search(text, position), _CLOSE.search(text, position)
        if closed is not None and (opened is None or closed.start() < opened.start()):
            kept, was_aloud = [], True  # the thought began with the reply
            position = closed.end()
        elif opened is None:
            rest = text[position:]
            if hides_all and not was_aloud and position == 0:
                return "", True, was_aloud
            return "".join([*kept, rest]), False, was_aloud
        else:
            kept.append(text[position : opened.start()])
            if closed is None:
                return "".join(kept), True, was_aloud
            position = closed.end()


def _without_lead(text: str) -> str:
    while lead := _LEADING.match(text):
        text = text[lead.end() :]
    return text


def _up_to_the_next_side(text: str) -> tuple[str, bool]:
    found = _NEXT_SIDE.search(text)
    return (text, False) if found is None else (text[: found.start()], True)


def _without_loops(text: str) -> tuple[str, bool]:
    """Up to the end of the first round of what is repeated."""
    if unit := _UNIT_LOOP.search(text):
        return text[: unit.start() + len(unit["unit"] or unit["letter"] or unit["mark"])], True
    sentences = [(found.start(), found.end(), _core(found.group())) for found in _SENTENCE.finditer(text)]
    sentences = [one for one in sentences if one[2]]
    cores = [core for _, _, core in sentences]
    for index in range(len(cores)):
        for cycle in range(1, _MAX_CYCLE + 1):
            round_of = cores[index : index + cycle]
            rounds = _MAX_IN_A_ROW + 1
            is_long = sum(map(len, round_of)) >= _MIN_LOOPED and (cycle == 1 or len(set(round_of)) > 1)
            if is_long and len(round_of) == cycle and cores[index : index + cycle * rounds] == round_of * rounds:
                return text[: sentences[index + cycle - 1][1]], True
        if len(cores[index]) > _MIN_LOOPED and cores[: index + 1].count(cores[index]) > _MAX_IN_ALL:
            return text[: sentences[index][0]], True
    return text, False


def _core(sentence: str) -> str:
    return "".join(filter(str.isalnum, sentence))


def _held_back(text: str) -> int:
    """Length of a tail that may be the beginning of a marker."""
    tail = text[-_MAX_MARKER:]
    is_whole = len(tail) == len(text)
    return next(
        (
            len(tail) - start
            for start in range(len(tail))
            if _may_become_a_marker(tail[start:], is_start=is_whole and start == 0, before=tail[start - 1 : start])
        ),
        0,
    )


def _may_become_a_marker(tail: str, *, is_start: bool, before: str) -> bool:
    if tail[0] in "<◁":
        return not any(mark in tail for mark in ">▷\n")
    word = tail.lstrip(_DECORATION).lower()
    if not word:
        return tail[0] in "#\n" or is_start
    if tail[0] == "[":
        return any(bracket.startswith(word) for bracket in _BRACKETS)
    if before.isascii() and before.isalpha():
        return False
    is_at_line = is_start or "\n" in tail or tail[0] == "#"
    labels = (*_OUR_LABELS, *_THEIR_LABELS) if is_at_line else _INSIDE_LABELS
    return any(label.startswith(word.rstrip("* _\t")) for label in labels)
