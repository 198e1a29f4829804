"""Finds where a model began to repeat itself without end. What is repeated for comfort, a few times, stays."""

import re

_UNIT = re.compile(
    r"(?P<letter>\w)(?P=letter){19,}|(?P<mark>[^\w\s])(?P=mark){59,}|(?P<unit>[^\W_]{2,40}?[^\w\n]{0,2})(?P=unit){5,}"
)
"""One character or one short phrase, word for word."""


_MOST = ((40, 1), (20, 2), (12, 4), (1, 7))
"""From so many letters on, what may be said again so many times in a row. By letters and digits alone: punctuation and
numbers of lists may differ from round to round."""
_MIN_REPEATED = 28
"""Letters that say nothing new: fewer are taken for comfort."""
_NUMBERED = re.compile(r"^[ \t]*[（(]?(?:\d{1,3}|[一二三四五六七八九十]{1,3})[ \t]*[.、．)）:：]", re.MULTILINE)

_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?\n]+|[^。！？!?\n]+\Z")
_CLAUSE_END = re.compile(r"[，,；;、]")
_MIN_SENTENCE, _MIN_CLAUSE = 5, 6
"""Letters of a sentence, or of a part of one, that is counted."""
_MAX_IN_ALL = 7
_ENDS = "。！？!?.\n，,；;、…～~ "


def without_loops(text: str) -> tuple[str, bool]:
    """The text up to the end of the first round of what is repeated, and whether it was cut."""
    cuts = [cut for cut in (_end_of_unit(text), _end_of_first_round(text), _end_before_the_eighth(text)) if cut]
    return (text[: min(cuts)], True) if cuts else (text, False)


def _end_of_unit(text: str) -> int | None:
    unit = _UNIT.search(text)
    return unit.start() + len(unit["unit"] or unit["letter"] or unit["mark"]) if unit else None


def _end_of_first_round(text: str) -> int | None:
    """Of any period."""
    unnumbered = _NUMBERED.sub(lambda found: " " * len(found.group()), text)
    places = [place for place, character in enumerate(unnumbered) if character.isalnum()]
    if (letters := _letters_of_first_round("".join(text[place] for place in places))) is None:
        return None
    end = places[letters - 1] + 1
    while end < len(text) and text[end] in _ENDS:  # with the punctuation of its last sentence
        end += 1
    return end


def _letters_of_first_round(letters: str) -> int | None:
    half = _MIN_REPEATED // 2
    if len({letters[at : at + half] for at in range(len(letters) - half + 1)}) > len(letters) - half:
        return None  # nothing of that length comes twice: most replies
    ends: list[int] = []
    for period in range(1, len(letters) // 2 + 1):
        most = next(most for least, most in _MOST if period >= least)
        repeated = max(period * most, _MIN_REPEATED)
        if repeated + period <= len(letters) and (start := _start_of_repetition(letters, period, repeated)) is not None:
            ends.append(start + period)
    return min(ends, default=None)


def _start_of_repetition(letters: str, period: int, length: int) -> int | None:
    """Where `length` letters begin that come again after `period` of them.

    They hold one whole block of half their length, wherever they begin, so only blocks are compared.
    """
    half = max(length // 2, 1)
    for at in range(0, len(letters) - period - half + 1, half):
        if letters[at : at + half] != letters[at + period : at + period + half]:
            continue
        start, end = at, at + half
        while start and letters[start - 1] == letters[start - 1 + period]:
            start -= 1
        while end + period < len(letters) and letters[end] == letters[end + period]:
            end += 1
        if end - start >= length:
            return start
    return None


def _end_before_the_eighth(text: str) -> int | None:
    """A sentence that comes back again and again, whatever stands between."""
    counts: dict[str, int] = {}
    for found in _SENTENCE.finditer(text):
        for core in _cores(found.group()):
            counts[core] = counts.get(core, 0) + 1
            if counts[core] > _MAX_IN_ALL:
                return found.start()
    return None


def _cores(sentence: str) -> set[str]:
    """The letters of a sentence and of its clauses: a loop may change the rest of it from round to round."""
    clauses = ("".join(filter(str.isalnum, clause)) for clause in _CLAUSE_END.split(sentence))
    whole = "".join(filter(str.isalnum, sentence))
    return {clause for clause in clauses if len(clause) >= _MIN_CLAUSE} | (
        {whole} if len(whole) >= _MIN_SENTENCE else set()
    )
