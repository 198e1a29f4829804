"""Synthetic comparisons: a published reply against the same reply made worse. Labelled as what they are.

They teach a reward model what is plainly wrong, in ways that small models go wrong: answering somebody else, repeating
themselves or the client, breaking off, speaking for the client, brushing people off, answering with a list. They are
no substitute for people's judgement (docs/training.md).
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from dialogue.process.settings import INSTRUCTION
from dialogue.window import CLIENT
from training.data.dialogue import Dialogue
from training.data.preferences import Preference
from training.data.windows import before
from training.trouble import TrainingTrouble

_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?\n]*")
_DISMISSALS = Path(__file__).parent.parent / "dismissals.txt"
_LEAST = 2  # sentences
_MOST_LISTED = 5
_PATIENCE = 10  # attempts at a comparison

Degradation = Callable[[random.Random, str, str, str], str | None]
"""Chance, the reply, the client's words and somebody else's reply, to a worse reply (None: not this one)."""


def synthetic(
    dialogues: Sequence[Dialogue], *, count: int, seed: int, instruction: str = INSTRUCTION
) -> Iterator[Preference]:
    """`count` comparisons from replies of `dialogues`; each kind is tried equally often.

    Raises `TrainingTrouble` if the replies are too short for most kinds.
    """
    chance = random.Random(seed)  # noqa: S311  # a sample, not a secret
    kinds = list(KINDS.items())
    made = 0
    for attempt in range(_PATIENCE * count):
        if made == count:
            return
        dialogue, other = chance.choice(dialogues), chance.choice(dialogues)
        index = chance.randrange(len(dialogue))
        text, reply = dialogue.exchanges[index]
        kind, degrade = kinds[attempt % len(kinds)]
        worse = degrade(chance, reply, text, chance.choice(other.exchanges).reply)
        if worse is None or worse.strip() in ("", reply):
            continue
        made += 1
        yield Preference(
            history=tuple(before(dialogue, index, instruction=instruction)),
            text=text,
            chosen=reply,
            rejected=worse,
            origin=f"synthetic:{kind}",
        )
    if made < count:
        raise TrainingTrouble(f"The replies are too short to make {count} comparisons of them; {made} were made.")


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its end."""
    return _SENTENCE.findall(text)


def _foreign(_chance: random.Random, _reply: str, _text: str, other: str) -> str:
    return other


def _repeated(chance: random.Random, reply: str, _text: str, _other: str) -> str | None:
    """One sentence takes the place of the others: as long as before, and stuck."""
    parts = sentences(reply)
    if len(parts) < _LEAST:
        return None
    stuck = chance.choice(parts)
    return "".join(stuck if chance.random() < 0.7 else part for part in parts)  # noqa: PLR2004  # most of them


def _echo(_chance: random.Random, reply: str, text: str, _other: str) -> str:
    """The client's own words come back first."""
    return text + "".join(sentences(reply)[1:])


def _broken_off(chance: random.Random, reply: str, _text: str, _other: str) -> str:
    return reply[: max(1, int(len(reply) * chance.uniform(0.2, 0.7)))].rstrip("。！？!?，,")


def _speaks_for_the_client(_chance: random.Random, reply: str, text: str, _other: str) -> str:
    return f"{reply}{CLIENT}{text}"


def _dismissal(chance: random.Random, _reply: str, _text: str, _other: str) -> str:
    return chance.choice(_dismissals())


def _list(_chance: random.Random, reply: str, _text: str, other: str) -> str | None:
    parts = [part.strip() for part in (*sentences(reply), *sentences(other))][:_MOST_LISTED]
    if len(parts) < _LEAST + 1:
        return None
    return "\n".join(f"{number}. {part}" for number, part in enumerate(parts, start=1))


def _out_of_order(chance: random.Random, reply: str, _text: str, _other: str) -> str | None:
    parts = sentences(reply)
    if len(parts) < _LEAST + 1:
        return None
    chance.shuffle(parts)
    return "".join(parts)


KINDS: dict[str, Degradation] = {
    "foreign": _foreign,
    "repeated": _repeated,
    "echo": _echo,
    "broken off": _broken_off,
    "speaks for the client": _speaks_for_the_client,
    "dismissal": _dismissal,
    "list": _list,
    "out of order": _out_of_order,
}


@cache
def _dismissals() -> tuple[str, ...]:
    lines = _DISMISSALS.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))
