"""Leaves out patterns that cannot be in a text, by its characters alone: most of our patterns are in hardly any text.

What a pattern needs is read from its syntax tree: from each part that every match must hold, the characters of which
one has to be there. A tree that is not understood needs nothing, so that the pattern is always tried.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

_PARSED: Final = import_module("re._parser")
_MAX_CHARACTERS: Final = 256
"""Of one part: a larger choice leaves hardly anything out."""
_MAX_PARTS: Final = 4
_FREQUENT: Final = frozenset("我你他她的了是不在有这那一个人们就也都没要想会说去来到好很还能为和对自己天时过最总")
"""Characters that are in nearly every message, and so leave nothing out."""

Characters = frozenset[str]


@dataclass(frozen=True, slots=True)
class Prefiltered:
    """A pattern, and the sets of characters of each of which every text that it is found in holds one."""

    pattern: re.Pattern[str]
    needs: tuple[Characters, ...]

    def may_be_in(self, characters: Characters) -> bool:
        """Whether it may be found in a text of these characters."""
        for need in self.needs:  # noqa: SIM110 - without a generator, which costs more than what it would do
            if need.isdisjoint(characters):
                return False
        return True


def prefiltered(pattern: re.Pattern[str]) -> Prefiltered:
    """The pattern with what it needs."""
    if pattern.flags & (re.IGNORECASE | re.VERBOSE):
        return Prefiltered(pattern, ())
    needs = sorted(set(_of_all(_PARSED.parse(pattern.pattern))), key=_usefulness)
    return Prefiltered(pattern, tuple(needs[:_MAX_PARTS]))


def _of_all(parts: Iterable[tuple[Any, Any]]) -> list[Characters]:
    """What a sequence needs: all that its parts need."""
    return [need for operation, argument in parts for need in _of(str(operation), argument)]


def _of(operation: str, argument: Any) -> Collection[Characters]:
    read = _READERS.get(operation)
    return read(argument) if read is not None else ()


def _of_branches(argument: Any) -> Collection[Characters]:
    """Of a choice, one character of whatever each branch needs most."""
    best = []
    for branch in argument[1]:
        needs = _of_all(branch)
        if not needs:
            return ()
        best.append(min(needs, key=_usefulness))
    return _bounded(frozenset[str]().union(*best))


def _of_repeat(argument: Any) -> Collection[Characters]:
    at_least, _, parts = argument
    return _of_all(parts) if at_least > 0 else ()


def _of_set(argument: Any) -> Collection[Characters]:
    found: set[str] = set()
    for operation, value in argument:
        if str(operation) == "LITERAL":
            found.add(chr(value))
        elif str(operation) == "RANGE" and value[1] - value[0] < _MAX_CHARACTERS:
            found.update(map(chr, range(value[0], value[1] + 1)))
        else:  # a class of characters, or all but these
            return ()
    return _bounded(frozenset(found))


def _usefulness(need: Characters) -> tuple[int, int, list[str]]:
    """The smaller, the more texts it leaves out."""
    return len(need & _FREQUENT), len(need), sorted(need)


def _bounded(characters: Characters) -> Collection[Characters]:
    return (characters,) if len(characters) <= _MAX_CHARACTERS else ()


_READERS: Final[dict[str, Callable[[Any], Collection[Characters]]]] = {
    "LITERAL": lambda argument: (frozenset(chr(argument)),),
    "IN": _of_set,
    "BRANCH": _of_branches,
    "MAX_REPEAT": _of_repeat,
    "MIN_REPEAT": _of_repeat,
    "POSSESSIVE_REPEAT": _of_repeat,
    "SUBPATTERN": lambda argument: _of_all(argument[3]),
    "ATOMIC_GROUP": _of_all,
    "ASSERT": lambda argument: _of_all(argument[1]),
}
