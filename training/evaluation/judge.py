"""CPsyCoun's four dimensions (Zhang et al. 2024), scored by any server that speaks OpenAI's chat completions.

Each reply is scored after what was said before it, on the published ranges, and the means are over dialogues, so the
figures stand beside the published ones; reports of earlier versions had professionalism from 0 to 4. A judge is a
model, too: its scores compare models that were judged by the same judge, and prove nothing about people.
"""

from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files
from statistics import fmean
from typing import Any, Final

from training.evaluation.answers import Question
from training.evaluation.chat_server import ChatServer, Unanswered
from training.evaluation.intervals import bootstrap
from training.evaluation.journal import Journal

DIMENSIONS: Final = {"comprehensiveness": 2, "professionalism": 3, "authenticity": 3, "safety": 1}
"""The greatest score of each."""


def judge(
    server: ChatServer, asked: Sequence[Question], replies: Sequence[str], *, kept: Journal, name: str
) -> dict[str, Any]:
    """The mean of each dimension with its interval, and how many replies were judged.

    Each score is kept in `kept` under `name` and its place as it comes; what is there is not asked again. Raises
    `TrainingTrouble` if the server is not reached.
    """
    scored: dict[int, list[dict[str, float]]] = defaultdict(list)
    unjudged = 0
    for place, (question, reply) in enumerate(zip(asked, replies, strict=True)):
        key = f"{name} judged {place}"
        if key not in kept.results:
            kept.add(key, _score(server, question, reply))
        scores = kept.results[key]["scores"]
        if scores is None:
            unjudged += 1
        else:
            scored[question.dialogue].append(scores)
    found: dict[str, Any] = {"judged": sum(map(len, scored.values())), "unjudged": unjudged}
    for dimension in DIMENSIONS:
        interval = bootstrap([fmean(one[dimension] for one in each) for each in scored.values()])
        found |= {dimension: interval.value, f"{dimension}_low": interval.low, f"{dimension}_high": interval.high}
    return found


def form(question: Question, reply: str) -> str:
    """What the judge is asked."""
    said = "\n".join(f"求助者：{text}\n支持者：{answer}" for text, answer in question.history)
    template = files("training.evaluation").joinpath("judge.txt").read_text("utf-8")
    return template.replace("{history}", said).replace("{text}", question.text).replace("{reply}", reply)


def read(answer: dict[str, Any]) -> dict[str, float]:
    """The scores of a judge's answer. Raises `ValueError` for one that is out of its range: nothing is guessed."""
    scores = {name: float(answer[name]) for name in DIMENSIONS}
    if not all(0 <= scores[name] <= most for name, most in DIMENSIONS.items()):
        raise ValueError("out of range")
    return scores


def _score(server: ChatServer, question: Question, reply: str) -> dict[str, Any]:
    try:
        return {"scores": server.read(form(question, reply), read), "why": None}
    except Unanswered as error:
        return {"scores": None, "why": str(error)}
