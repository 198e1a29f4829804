"""Habits of a model's replies, as shares of the replies that show them."""

import re
from collections import Counter
from collections.abc import Sequence

from care.guard import Guard
from training.data.cleaning import ROLE_LABEL
from training.data.degradations import sentences

_QUESTION = re.compile(r"[？?]")
_LISTED = re.compile(r"(?:^|\n|[。；;：:])\s*(?:\d+[.、)）]|[一二三四五六][、.]|首先|其次|再次|第[一二三四五][，,、])")
_LEAST_LISTED = 2
_LEAST_REPEATED = 6  # characters; shorter sentences may well come twice


def rates(replies: Sequence[tuple[str, str]], guard: Guard) -> dict[str, float]:
    """`replies` are pairs of what a person said and what was answered."""
    count = max(1, len(replies))
    found: Counter[str] = Counter()
    for text, reply in replies:
        found.update(habits(reply))
        found["guard_blocked"] += guard.judge(reply, is_finished=True, said=text).is_blocked
    names = ("question", "advice_list", "role_leak", "repeated_sentence", "guard_blocked", "empty")
    return {
        **{name: found[name] / count for name in names},
        "characters": sum(len(reply) for _, reply in replies) / count,
    }


def habits(reply: str) -> list[str]:
    """The habits that one reply shows."""
    parts = [part.strip("。！？!?\n ") for part in sentences(reply)]
    again = Counter(part for part in parts if len(part) >= _LEAST_REPEATED)
    shown = {
        "question": bool(_QUESTION.search(reply)),
        "advice_list": len(_LISTED.findall(reply)) >= _LEAST_LISTED,
        "role_leak": bool(ROLE_LABEL.search(reply)),
        "repeated_sentence": any(times > 1 for times in again.values()),
        "empty": not reply.strip(),
    }
    return [name for name, is_shown in shown.items() if is_shown]
