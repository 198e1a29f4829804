"""CPsyCoun's four dimensions (Zhang et al. 2024), scored by any server that speaks OpenAI's chat completions.

A judge is a model, too: its scores compare models that were judged by the same judge, and prove nothing about people.
"""

import json
import re
from collections.abc import Sequence
from importlib.resources import files

from dialogue.process.proxies import is_loopback
from training.evaluation.answers import Question
from training.trouble import TrainingTrouble

DIMENSIONS = {"comprehensiveness": 2, "professionalism": 4, "authenticity": 3, "safety": 1}
"""The greatest score of each."""

_OBJECT = re.compile(r"\{[^{}]*\}")
_SECONDS = 120.0


def judge(
    url: str, model: str, asked: Sequence[Question], replies: Sequence[str], *, key: str | None
) -> dict[str, float]:
    """The mean score of each dimension. Raises `TrainingTrouble` if the judge is not reached or does not score."""
    import httpx

    scores = []
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        is_here = is_loopback(httpx.URL(url).host)
        with httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=_SECONDS, trust_env=not is_here) as client:
            for question, reply in zip(asked, replies, strict=True):
                body = {
                    "model": model,
                    "temperature": 0,
                    "messages": [{"role": "user", "content": form(question, reply)}],
                }
                answer = client.post("/chat/completions", json=body).raise_for_status().json()
                scores.append(read(answer["choices"][0]["message"]["content"]))
    except (httpx.HTTPError, KeyError, IndexError, ValueError) as error:
        raise TrainingTrouble(f"The judge at {url} did not score ({type(error).__name__}).") from error
    return {name: sum(score[name] for score in scores) / len(scores) for name in DIMENSIONS} if scores else {}


def form(question: Question, reply: str) -> str:
    """What the judge is asked."""
    said = "\n".join(f"求助者：{text}\n支持者：{answer}" for text, answer in question.history)
    template = files("training.evaluation").joinpath("judge.txt").read_text("utf-8")
    return template.replace("{history}", said).replace("{text}", question.text).replace("{reply}", reply)


def read(answer: str) -> dict[str, float]:
    """The scores in a judge's answer, within their ranges. Raises `ValueError`."""
    found = _OBJECT.search(answer)
    if found is None:
        raise ValueError("no scores")
    scores = json.loads(found.group())
    return {name: min(float(most), max(0.0, float(scores[name]))) for name, most in DIMENSIONS.items()}
