"""Train the small risk classifier that ships in care/lexicon: logistic regression over hashed character n-grams.

`python -m training.screening PSYSUICIDE.json SMILECHAT.jsonl.gz` writes classifier.bin and classifier.toml. Texts with
gold labels come from PsySUICIDE. SmileChat has no labels, so it gets weak ones: what the rules find is risk; what they
do not find, in a dialogue where neither rules nor counsellor ever speak of it, is not.
"""

import argparse
import gzip
import hashlib
import json
import math
import random
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from care.classifier import BUCKETS, MAX_LEVEL, LinearClassifier, buckets, pack
from care.normalise import normalise
from care.rules import rulebook
from care.subject import Subject
from training import psysuicide
from training.psysuicide import Labelled

FOLDS: Final = 5
SEED: Final = 20261121
EXTRA_FALSE_ALARMS: Final = 0.012  # of the negatives: what the classifier may add to the alarms of the rules
PENALTY: Final = 1e-5
GOLD_RISK_WEIGHT: Final = 3.0  # three in four gold texts are negatives, and a miss costs more than an alarm
WEAK_WEIGHT: Final = 0.3
WEAK_NEGATIVES: Final = 5000
MAX_WEAK_LENGTH: Final = 150  # characters
DIALOGUE_STRIDE: Final = 5  # every fifth dialogue is plenty
COUNSELLOR_ALARM: Final = re.compile("自杀|轻生|结束生命|结束自己|自残|自伤|伤害自己|自我伤害|危机干预|活下去")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A normalised, masked text with its target and its weight in the loss."""

    text: str
    is_risk: bool
    weight: float
    found_by_rules: bool


def gold_examples(labelled: Iterable[Labelled]) -> list[Example]:
    """Self-directed risk against the unrelated class; talk about others' risk is neither."""
    return [
        _example(row.text, is_risk=row.is_self_directed, weight=GOLD_RISK_WEIGHT if row.is_self_directed else 1.0)
        for row in labelled
        if row.is_self_directed or row.is_unrelated
    ]


def weak_examples(smilechat: Path) -> list[Example]:
    """Weakly labelled client utterances, all that the rules find and a sample of the others; and ordinary sentences."""
    risky: list[Example] = []
    calm: list[Example] = []
    with gzip.open(smilechat, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % DIALOGUE_STRIDE == 0:
                _sort_dialogue(json.loads(line), risky, calm)
    random.Random(SEED).shuffle(calm)  # noqa: S311 - a sample, not a secret
    return risky + calm[:WEAK_NEGATIVES] + ordinary_examples()


def ordinary_examples() -> list[Example]:
    """Everyday sentences that merely sound alarming, written for the project; what a rule finds is left out."""
    lines = (files("training") / "ordinary.txt").read_text("utf-8").splitlines()
    examples = [_example(line, is_risk=False, weight=1.0) for line in lines if line and not line.startswith("#")]
    return [example for example in examples if not example.found_by_rules]


def fit(examples: Sequence[Example]) -> LinearClassifier:
    """Minimise the weighted log loss with L-BFGS; the threshold is left at one half."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, embedding_bag

    ids, starts, scales = _flatten(examples)
    target = torch.tensor([float(example.is_risk) for example in examples])
    importance = torch.tensor([example.weight for example in examples])
    weights = torch.zeros(BUCKETS, 1, requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=60, history_size=8, line_search_fn="strong_wolfe")
    flat, offsets, scale = torch.tensor(ids), torch.tensor(starts), torch.tensor(scales)

    def closure() -> float:
        optimiser.zero_grad()
        bags = embedding_bag(flat, weights, offsets, mode="sum", per_sample_weights=scale)
        logits = bags.squeeze(1) + bias
        errors = binary_cross_entropy_with_logits(logits, target, importance, reduction="sum")
        loss = errors / importance.sum() + PENALTY * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves backward untyped
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call] # torch leaves step untyped
    return _quantise(weights.detach().squeeze(1).tolist(), bias.item())


def train(gold: Sequence[Example], weak: Sequence[Example]) -> LinearClassifier:
    """Fit on everything given; the threshold comes from folds within it."""
    threshold = choose_threshold(gold, cross_validate(gold, weak))
    return replace(fit([*gold, *weak]), threshold=threshold)


def cross_validate(gold: Sequence[Example], weak: Sequence[Example], folds: int = FOLDS) -> list[float]:
    """The probability of each gold example under a classifier that has not seen it."""
    probabilities = [0.0] * len(gold)
    for held_out, seen in split(len(gold), folds):
        classifier = fit([gold[index] for index in seen] + list(weak))
        for index in held_out:
            probabilities[index] = classifier.probability(gold[index].text)
    return probabilities


def split(count: int, folds: int) -> Iterator[tuple[list[int], list[int]]]:
    """Held-out and remaining indices, fold by fold; the same for the same count."""
    order = list(range(count))
    random.Random(SEED).shuffle(order)  # noqa: S311 - a split, not a secret
    for fold in range(folds):
        held_out = order[fold::folds]
        yield held_out, sorted(set(order) - set(held_out))


def choose_threshold(gold: Sequence[Example], probabilities: Sequence[float]) -> float:
    """The lowest threshold at which held-out negatives that no rule finds stay within `EXTRA_FALSE_ALARMS`."""
    negatives = [(example, p) for example, p in zip(gold, probabilities, strict=True) if not example.is_risk]
    quiet = sorted((p for example, p in negatives if not example.found_by_rules), reverse=True)
    return quiet[int(EXTRA_FALSE_ALARMS * len(negatives))]


def _example(text: str, *, is_risk: bool, weight: float) -> Example:
    plain = normalise(text)
    return Example(text=rulebook().mask(plain), is_risk=is_risk, weight=weight, found_by_rules=_found_by_rules(plain))


def _found_by_rules(plain: str) -> bool:
    return any(finding.subject is not Subject.OTHER_PAST for finding in rulebook().find(plain))


def _sort_dialogue(dialogue: list[dict[str, str]], risky: list[Example], calm: list[Example]) -> None:
    said = [message["content"] for message in dialogue if message["role"] == "client"]
    examples = [_example(text, is_risk=False, weight=WEAK_WEIGHT) for text in said if len(text) <= MAX_WEAK_LENGTH]
    found = [replace(example, is_risk=True) for example in examples if example.found_by_rules]
    risky.extend(found)
    if not found and not any(COUNSELLOR_ALARM.search(message["content"]) for message in dialogue):
        calm.extend(examples)


def _flatten(examples: Sequence[Example]) -> tuple[list[int], list[int], list[float]]:
    ids: list[int] = []
    starts: list[int] = []
    scales: list[float] = []
    for example in examples:
        present = sorted(set(buckets(example.text)))
        starts.append(len(ids))
        ids.extend(present)
        scales.extend([1 / math.sqrt(len(present) or 1)] * len(present))
    return ids, starts, scales


def _quantise(weights: list[float], bias: float) -> LinearClassifier:
    step = max(abs(weight) for weight in weights) / MAX_LEVEL or 1.0
    levels = array("h", (round(weight / step) for weight in weights))
    return LinearClassifier(threshold=0.5, bias=bias, step=step, weights=levels)


def _facts(arguments: argparse.Namespace, gold: Sequence[Example], weak: Sequence[Example], threshold: float) -> str:
    sources = (arguments.psysuicide, arguments.smilechat)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    return (
        "# Written by training/screening.py beside classifier.bin; the card for people is classifier.md.\n"
        f'psysuicide_sha256 = "{digests[0]}"\nsmilechat_sha256 = "{digests[1]}"\n'
        f"gold_examples = {len(gold)}\ngold_risk = {sum(example.is_risk for example in gold)}\n"
        f"weak_examples = {len(weak)}\nweak_risk = {sum(example.is_risk for example in weak)}\n"
        f"threshold = {threshold:.6f}\nseed = {SEED}\nfolds = {FOLDS}\n"
    )


def main() -> None:
    """Train, choose the threshold on held-out folds, write the classifier."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("psysuicide", type=Path)
    parser.add_argument("smilechat", type=Path)
    parser.add_argument("--out", type=Path, default=Path("care/lexicon"), help="directory")
    arguments = parser.parse_args()
    gold = gold_examples(psysuicide.read(arguments.psysuicide))
    weak = weak_examples(arguments.smilechat)
    classifier = train(gold, weak)
    (arguments.out / "classifier.bin").write_bytes(pack(classifier))
    (arguments.out / "classifier.toml").write_text(_facts(arguments, gold, weak, classifier.threshold), "utf-8")


if __name__ == "__main__":
    main()
