"""Which of two models talked better with the same seekers: a judge reads both conversations, in both orders."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from training.core.loop import Say
from training.evaluation.chat_server import Address, ChatServer, Unanswered
from training.evaluation.intervals import bootstrap, wilson
from training.evaluation.journal import Journal
from training.simulation import simulate
from training.simulation.simulate import Conversation
from training.trouble import TrainingTrouble

JUDGEMENTS = "pairwise.jsonl"
_AT_ONCE = 4
_ORDERS = ("straight", "swapped")
_OWN = frozenset({"model", "prompt", "instruction", "guidance", "temperature", "top_p", "max_reply_tokens"})
"""What two runs may differ in: the model and how it was served."""


class Choice(StrEnum):
    """What the judge prefers, by the place where it stood."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"


_WORDS = {"甲": Choice.FIRST, "乙": Choice.SECOND, "平": Choice.TIE}
_SWAPPED = {Choice.FIRST: Choice.SECOND, Choice.SECOND: Choice.FIRST, Choice.TIE: Choice.TIE}


def judge_pairs(
    first: Path, second: Path, target: Path, judge: Address, *, say: Say, is_resumed: bool = False, tries: int = 5
) -> dict[str, Any]:
    """Judge two directories of `simulate`, card by card; what has been judged is not asked again.

    Raises `TrainingTrouble` where the two were not held under the same conditions, or the judge is not reached.
    """
    configuration, pairs = _pairs(first, second)
    configuration |= {"judge": judge.model, "form": _digest(_template())}
    with (
        Journal(target / JUDGEMENTS, configuration, is_resumed=is_resumed) as kept,
        ChatServer(judge, tries=tries) as server,
    ):
        wanting = [
            (f"{left.card.id} {order}", (left, right) if order == "straight" else (right, left))
            for left, right in pairs
            for order in _ORDERS
            if f"{left.card.id} {order}" not in kept.results
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = {pool.submit(_choose, server, *shown): key for key, shown in wanting}
            try:
                for done in as_completed(asked):
                    kept.add(asked[done], done.result())
                    say(f"{asked[done]}: judged")
            except TrainingTrouble:
                for each in asked:
                    each.cancel()
                raise
        return {"models": configuration["models"], "judge": judge.model, **outcome(kept.results)}


def outcome(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Wins of the first model, ties, and losses; a pair whose two orders contradict each other is a tie.

    `win_rate` counts a tie as half a win (bootstrap over the roles), `agreement` is the share of pairs of which both
    orders say the same, `first_place` how often the conversation that stood first was preferred where one was.
    """
    pairs: dict[str, dict[str, Choice]] = {}
    unjudged = 0
    for key, result in results.items():
        card, order = key.split(" ")
        if result["choice"] is None:
            unjudged += 1
        else:
            pairs.setdefault(card, {})[order] = Choice(result["choice"])
    whole = [(each["straight"], _SWAPPED[each["swapped"]]) for each in pairs.values() if len(each) == len(_ORDERS)]
    agreed = [one if one is other else Choice.TIE for one, other in whole]
    placed = [choice for each in pairs.values() for choice in each.values() if choice is not Choice.TIE]
    points = {Choice.FIRST: 1.0, Choice.TIE: 0.5, Choice.SECOND: 0.0}
    return {
        "wins": agreed.count(Choice.FIRST),
        "ties": agreed.count(Choice.TIE),
        "losses": agreed.count(Choice.SECOND),
        "contradictions": sum(one is not other for one, other in whole),
        "unjudged": unjudged,
        "win_rate": bootstrap([points[each] for each in agreed]).as_json(),
        "agreement": wilson(sum(one is other for one, other in whole), len(whole)).as_json(),
        "first_place": wilson(placed.count(Choice.FIRST), len(placed)).as_json(),
    }


def form(one: Conversation, other: Conversation) -> str:
    """What the judge is asked."""
    filled = _template().replace("{person}", one.card.person).replace("{situation}", one.card.situation)
    return filled.replace("{first}", _transcript(one)).replace("{second}", _transcript(other))


def _choose(server: ChatServer, one: Conversation, other: Conversation) -> dict[str, Any]:
    try:
        return {"choice": server.read(form(one, other), lambda found: _WORDS[found["better"].strip()]), "why": None}
    except Unanswered as error:
        return {"choice": None, "why": str(error)}


def _pairs(first: Path, second: Path) -> tuple[dict[str, Any], list[tuple[Conversation, Conversation]]]:
    conditions, left = simulate.load(first)
    others, right = simulate.load(second)
    if differing := sorted(name for name in conditions.keys() - _OWN if conditions[name] != others.get(name)):
        raise TrainingTrouble(f"{first} and {second} were held under different conditions: {', '.join(differing)}.")
    found = {one.card.id: one for one in right if one.failure is None}
    pairs = [(one, found[one.card.id]) for one in left if one.failure is None and one.card.id in found]
    if not pairs:
        raise TrainingTrouble(f"{first} and {second} have no role in common.")
    configuration = {
        "models": [conditions["model"], others["model"]],
        "conversations": [
            _digest("\0".join(f"{one.card.id}\0{_transcript(one)}" for one in side))
            for side in zip(*pairs, strict=True)
        ],
    }
    return configuration, pairs


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _transcript(conversation: Conversation) -> str:
    return "\n".join(f"求助者：{text}\n支持者：{reply}" for text, reply in conversation.exchanges)


def _template() -> str:
    return (files("training.evaluation") / "pairwise.txt").read_text("utf-8")
