"""Measures one model, or several side by side, and writes a report."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch

from care.guard import guard
from care.hotlines import directory
from training import reward, student
from training.comparisons import Comparisons
from training.core.loop import Say
from training.data import corpus, formats
from training.data.cleaning import merge, pair
from training.data.compared import read_all
from training.data.dialogue import Dialogue
from training.evaluation import held_out, report
from training.evaluation.answers import Question, answers, questions
from training.evaluation.chat_server import Address, ChatServer
from training.evaluation.habits import rates
from training.evaluation.journal import Journal
from training.evaluation.judge import DIMENSIONS, judge
from training.evaluation.relevance import Replied, content, shares
from training.evaluation.similarity import scores
from training.machine import settle
from training.recipe import TuningRecipe
from training.trouble import TrainingTrouble
from worker.model.find import fingerprint

RESULTS = "results.json"
ITEMS = "items.jsonl"


class Candidate(NamedTuple):
    """What is measured: a model, with an adapter or without."""

    model: Path
    adapter: Path | None = None

    @property
    def name(self) -> str:
        """As the report calls it."""
        return str(self.model) if self.adapter is None else f"{self.model} + {self.adapter}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured. `turns` is a file of dialogues whose every turn is answered (CPsyCounE)."""

    candidates: Sequence[Candidate]
    data: Path
    turns: Path | None = None
    dialogues: int = 500
    openings: int = 50
    reply_tokens: int = 256
    preferences: Path | None = None
    reward_model: Path | None = None
    judge: Address | None = None


def evaluate(plan: Plan, target: Path, *, recipe: TuningRecipe, say: Say, is_resumed: bool = False) -> dict[str, Any]:
    """Measure and write `report.html`, `report.zh.html` and `results.json` into `target`. Raises `TrainingTrouble`.

    Losses, replies and scores are kept in `items.jsonl` as they come.
    """
    device = settle(recipe)
    dialogues = corpus.load(plan.data).held_out
    turns = questions(_turns(plan.turns), instruction=recipe.instruction) if plan.turns else []
    openings = [
        Question((), one.opening, one.exchanges[0].reply, number)
        for number, one in enumerate(
            Random(recipe.seed).sample(dialogues, min(plan.openings, len(dialogues)))  # noqa: S311  # no secret
        )
    ]
    measured, samples = {}, []
    with Journal(target / ITEMS, _configuration(plan, recipe), is_resumed=is_resumed) as kept:
        for candidate in plan.candidates:
            found = _losses(candidate, dialogues[: plan.dialogues], recipe, device=device, kept=kept, say=say)
            say(f"{candidate.name}: {len(openings) + len(turns)} replies")
            written = _answers(candidate, [*openings, *turns], plan, recipe, kept)
            samples.append(written[: len(openings)])
            measured[candidate.name] = found | _judged(candidate, plan, turns, openings, written=written, kept=kept)
    results: dict[str, Any] = {"models": measured, "judge_scale": DIMENSIONS}
    if plan.reward_model and plan.preferences:
        results["reward_model"] = _reward_accuracy(
            plan.reward_model, plan.candidates[0].model, plan.preferences, recipe, device=device, say=say
        )
    target.mkdir(parents=True, exist_ok=True)
    (target / RESULTS).write_text(json.dumps(results, ensure_ascii=False, indent=2), encoding="utf-8")
    report.write(target, results, openings, samples)
    return results


def _configuration(plan: Plan, recipe: TuningRecipe) -> dict[str, Any]:
    """What the items depend on. The weights count by their contents, for a directory may be trained further."""
    return {
        "models": {one.name: fingerprint(one.model, adapter=one.adapter) for one in plan.candidates},
        "data": str(plan.data),
        "turns": None if plan.turns is None else hashlib.sha256(plan.turns.read_bytes()).hexdigest()[:12],
        "dialogues": plan.dialogues,
        "openings": plan.openings,
        "reply_tokens": plan.reply_tokens,
        "seed": recipe.seed,
        "instruction": recipe.instruction,
        "judge": None if plan.judge is None else plan.judge.model,
        "scale": DIMENSIONS,
    }


def _losses(
    candidate: Candidate,
    dialogues: Sequence[Dialogue],
    recipe: TuningRecipe,
    *,
    device: torch.device,
    kept: Journal,
    say: Say,
) -> dict[str, Any]:
    key = f"{candidate.name} losses"
    if key not in kept.results:
        say(f"{candidate.name}: losses")
        loss = held_out.losses(*candidate, dialogues, recipe, device=device)
        kept.add(key, {"loss": loss, "parameters": _size(candidate, recipe, device)})
    return kept.results[key]


def _answers(
    candidate: Candidate, asked: Sequence[Question], plan: Plan, recipe: TuningRecipe, kept: Journal
) -> list[str]:
    keys = [f"{candidate.name} reply {place}" for place in range(len(asked))]
    drawn = answers(
        candidate.model,
        {place: asked[place] for place, key in enumerate(keys) if key not in kept.results},
        instruction=recipe.instruction,
        reply_tokens=plan.reply_tokens,
        seed=recipe.seed,
        adapter=candidate.adapter,
    )
    for place, reply in drawn:
        kept.add(keys[place], {"reply": reply})
    return [kept.results[key]["reply"] for key in keys]


def _judged(
    candidate: Candidate,
    plan: Plan,
    turns: Sequence[Question],
    openings: Sequence[Question],
    *,
    written: Sequence[str],
    kept: Journal,
) -> dict[str, Any]:
    """Everything that is read off the replies: first those to the openings, then those to the turns."""
    asked = [*openings, *turns]
    said = [(question.text, reply) for question, reply in zip(asked, written, strict=True)]
    found: dict[str, Any] = {
        "habits": rates(said, guard(directory())),
        "counted": {"replies": len(asked), "about_something": sum(bool(content(one.text)) for one in asked)},
    }
    found["relevance"] = shares(_replied(asked, written)) | {
        f"published_{name}": share
        for name, share in shares(_replied(asked, [question.answered for question in asked])).items()
    }
    replies = list(written[len(openings) :])
    if turns:
        wanted = [question.answered for question in turns]
        found["similarity"] = scores(list(zip(replies, wanted, strict=True)))
    if plan.judge is not None:
        chosen, answered = (turns, replies) if turns else (openings, list(written))
        with ChatServer(plan.judge) as server:
            found["judge"] = judge(server, chosen, answered, kept=kept, name=candidate.name)
    return found


def _replied(asked: Sequence[Question], replies: Sequence[str]) -> list[Replied]:
    return [
        Replied(question.text, reply, [exchange.reply for exchange in question.history])
        for question, reply in zip(asked, replies, strict=True)
    ]


def _reward_accuracy(
    reward_model: Path, base: Path, file: Path, recipe: TuningRecipe, *, device: torch.device, say: Say
) -> dict[str, float]:
    model = reward.load_reward(reward_model, base, recipe, device=device)
    pupil = model.pupil
    comparisons = Comparisons(
        read_all([file], say=say), pupil.encoder, rows=recipe.rows, length=recipe.length, pad_id=pupil.pad_id, seed=0
    )
    return reward.accuracy(model, comparisons)


def _turns(file: Path) -> list[Dialogue]:
    """Dialogues in any published form; nothing is refused, for these are measured with, not learned."""
    found = [pair(merge(turns)) for turns in formats.read(file) if isinstance(turns, list)]
    if not found:
        raise TrainingTrouble(f"{file} holds no dialogue.")
    return [dialogue for dialogue in found if len(dialogue)]


def _size(candidate: Candidate, recipe: TuningRecipe, device: torch.device) -> int:
    model = student.load(candidate.model, recipe, device=device, adapter=candidate.adapter).model
    return sum(weights.numel() for weights in model.parameters())
