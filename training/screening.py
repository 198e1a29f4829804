"""Train the second detector that ships in care/lexicon: logistic regressions over hashed n-grams and meanings.

    python -m training.screening PSYSUICIDE SMILECHAT [CASES] [--general TEXTS ...]   writes detector.bin and .toml
    python -m training.screening ... --cross-validate                                 prints what it does on folds

What it learns from: sentences written for the project (`training/care/`), PsySUICIDE's labelled texts, and SmileChat,
which has no labels: words of clients in dialogues where neither rules nor counsellor find danger count as calm. CASES
is a file in the form of `bench.care`; TEXTS are files of other plain texts, one a line. Variants of one template, and
a text wherever it stands, are never split over folds.
"""

import argparse
import gzip
import hashlib
import json
import math
import random
import re
import sys
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Final

from care.detector import ROUTES, SHORTEST, TIERS, LinearDetector, bare, pieces
from care.linear import BUCKETS, MAX_LEVEL, SIGNS, Heads, by_meaning, features, pack
from care.normalise import normalise
from care.rules import rulebook
from care.screening import screen
from care.subject import Subject
from training import psysuicide
from training.fillers import varied
from training.psysuicide import Labelled

if TYPE_CHECKING:
    from torch import Tensor

FOLDS: Final = 5
SEED: Final = 20261128
PENALTY: Final = 0.0085  # of the squared weights, beside the sum of all errors
LIGHT_PENALTY: Final = 0.004  # of the reading that trusts all n-grams alike
TELLING: Final = (
    0.3,
    4.0,
)  # least and greatest |log odds| by which an n-gram is scaled in the reading that trusts telling ones
ITERATIONS: Final = 100
RARE: Final = 2  # texts; what occurs in fewer teaches nothing, and its bucket would only be noise in other texts
DANGER: Final = (
    "care/danger.txt",
    "care/danger_plain.txt",
    "care/danger_kinds.txt",
    "care/danger_single.txt",
    "care/danger_voices.txt",
    "care/danger_more.txt",
    "care/danger_unsaid.txt",
    "care/danger_pairs.txt",
)
ORDINARY: Final = (
    "care/ordinary.txt",
    "care/ordinary_plain.txt",
    "care/ordinary_kinds.txt",
    "care/ordinary_single.txt",
    "care/ordinary_voices.txt",
    "care/ordinary_more.txt",
    "care/ordinary_talk.txt",
    "care/ordinary_pairs.txt",
    "ordinary.txt",
)
PLAIN_WEIGHT: Final = 2.0  # of a sentence that stands for itself
VARIANTS: Final = 40  # of one template, at most
FULL_VARIANTS: Final = 12  # of one template: more than these share the weight of so many
GOLD_WEIGHT: Final = 1.5  # PsySUICIDE's and the cases': nobody wrote them for this detector
CALM_WEIGHT: Final = 1.0
RISK_WEIGHT: Final = 1.5  # times as much as its own weight counts a text of danger: there are five calm ones for each
CALM_COUNT: Final = 30000  # client's words from SmileChat
GENERAL_EACH: Final = 4000  # pieces of one file of other texts
SAMPLED: Final = 2  # times as many are looked through for those that share words with danger
MAX_GENERAL_LENGTH: Final = 200  # characters of one text
SUGGESTIVE: Final = 2  # meanings in a calm text that teaches more than most; half of the calm ones are such
FILLED: Final = 3  # of so many calm texts one stands among fillers too
MAX_CALM_LENGTH: Final = 120  # characters
DIALOGUE_STRIDE: Final = 4  # every fourth dialogue is plenty
COUNSELLOR_ALARM: Final = re.compile("自杀|轻生|结束生命|结束自己|自残|自伤|伤害自己|自我伤害|危机干预|活下去")
_CHOICE: Final = re.compile(r"\{([^}]*)\}")
THRESHOLDS: Final = (0.75, 0.65, 0.7)  # for tiers 1 to 3; from texts it had not seen, see docs/care.md
_SENTENCE: Final = re.compile(r"[^。！？!?\n]+[。！？!?]?")
_DARK: Final = re.compile(
    "我.{0,10}(?:死去|消失|解脱)|(?:活着|死去).{0,8}(?:没|痛|苦|累|谎言|意义|艰)|绝望"
)  # in quotes, who knows
_HOPELESS: Final = re.compile("死|活着|活下去|绝望|消失|意义|解脱|伤害|打我|吐|撑不|坚持不")  # who knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A normalised, masked text with what it should be read as. `group`: what must stay in one fold."""

    text: str
    tier: int  # 0 to 3
    route: str | None  # of ROUTES; None where nobody said
    weight: float
    group: str


def written_examples() -> list[Example]:
    """What the project's developers wrote: `training/care/danger.txt` and `ordinary.txt`, and the older list."""
    examples = [example for name in DANGER for example in _danger(name)]
    for name in ORDINARY:
        for number, line in enumerate(written_lines(name)):
            group = f"{name}:{number}"
            texts = expand(line, group)
            examples += _among_fillers(
                [_example(text, 0, None, weight=weight_of(texts), group=group) for text in texts]
            )
    return examples


def _among_fillers(variants: list[Example]) -> list[Example]:
    """Only sentences that stand for themselves: the variants of a template are many already."""
    return variants if len(variants) > 1 else [each for example in variants for each in varied(example)]


def gold_examples(labelled: Iterable[Labelled]) -> list[Example]:
    """PsySUICIDE's texts: its labels as tiers. Questions about suicide and attacks are neither."""
    return [
        _example(row.text, _tier_of(row), "self" if row.is_self_directed else None, weight=GOLD_WEIGHT, group=row.text)
        for row in labelled
        if row.is_self_directed or row.is_unrelated
    ]


def case_examples(path: Path) -> list[Example]:
    """Texts of a file in the form of `bench.care`."""
    routes = {"third": "third_party", "violence": "harm_to_others", "domestic": "abuse", "childabuse": "abuse"}
    routes |= {"psychosis": "psychosis", "ed": "eating_disorder", "past": "past"}
    return [
        _example(
            case["text"],
            1 if case["cat"] == "past" else case["want"],
            routes.get(case["cat"], "self") if case["kind"] == "risk" else None,
            weight=GOLD_WEIGHT,
            group=case["text"],
        )
        for case in json.loads(path.read_text("utf-8"))["screening"]
    ]


def calm_examples(smilechat: Path, count: int = CALM_COUNT) -> list[Example]:
    """What clients say in dialogues where nobody speaks of danger."""
    calm: list[str] = []
    dice = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    with gzip.open(smilechat, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % DIALOGUE_STRIDE == 0:
                calm.extend(_calm_words(json.loads(line)))
    dice.shuffle(calm)
    chosen: dict[bool, list[Example]] = {True: [], False: []}
    for text in dict.fromkeys(calm):
        example = _example(text, 0, None, weight=CALM_WEIGHT, group=text)
        part = chosen[len(set(by_meaning(example.text)) & SIGNS) >= SUGGESTIVE]
        if len(part) < count // 2 and not _found_by_rules(text):
            part.append(example)
        if sum(map(len, chosen.values())) == count:
            break
    return _some_among_fillers([*chosen[True], *chosen[False]])


def general_examples(plain: Iterable[Path], each: int = GENERAL_EACH) -> list[Example]:
    """Pieces of texts that have nothing to do with counselling, one text a line; every other line is left unread.

    The words of clients alone leave most n-grams of the language unseen, and what is unseen reads as noise. Of each
    file come at most `each` pieces, half of them with words that danger has too: in games and jokes they are harmless.
    """
    calm = [example for path in plain for example in _pieces_of(path, each)]
    random.Random(SEED).shuffle(calm)  # noqa: S311 - an order, not a secret
    return _some_among_fillers(calm)


def _pieces_of(path: Path, count: int) -> list[Example]:
    lines = path.read_text("utf-8", "replace").splitlines()[::2]
    random.Random(SEED).shuffle(lines)  # noqa: S311 - a sample, not a secret
    cut = (piece for line in lines for piece in pieces(normalise(line)[:MAX_GENERAL_LENGTH]))
    calm = (
        text for text in cut if len(text.strip()) >= SHORTEST and not _DARK.search(text) and not _found_by_rules(text)
    )
    sampled = dict.fromkeys(islice(calm, SAMPLED * count))
    examples = [_example(text, 0, None, weight=CALM_WEIGHT, group=text) for text in sampled]
    suggests: dict[bool, list[Example]] = {True: [], False: []}
    for example in examples:
        suggests[bool(SIGNS.intersection(by_meaning(example.text)))].append(example)
    telling = suggests[True][: count // 2]
    return [*telling, *(suggests[False] + suggests[True][len(telling) :])[: count - len(telling)]]


def _some_among_fillers(calm: Sequence[Example]) -> list[Example]:
    """Every `FILLED`th, so that fillers speak neither for danger nor against it."""
    parts = (varied(each) if not number % FILLED else (each,) for number, each in enumerate(calm))
    return [example for part in parts for example in part]


def expand(template: str, seed: str) -> list[str]:
    """At most `VARIANTS` of what a template stands for, spread over its alternatives; the same for the same seed."""
    parts = _CHOICE.split(template)
    choices = [part.split("|") if number % 2 else [part] for number, part in enumerate(parts)]
    if math.prod(map(len, choices)) <= VARIANTS:
        return ["".join(picked) for picked in product(*choices)]
    dice = random.Random(seed)  # noqa: S311 - a sample, not a secret
    return list(dict.fromkeys("".join(dice.choice(choice) for choice in choices) for _ in range(VARIANTS)))


def fit(examples: Sequence[Example]) -> LinearDetector:
    """The heads for tiers from all examples, those for routes from the ones of danger.

    A tier's weights are the mean of two fits, which err on different texts: one trusts all n-grams alike, the other
    those that tell danger from calm (Wang & Manning 2012, "Baselines and Bigrams").
    """
    import torch

    routed = [example for example in examples if example.tier and example.route is not None]
    tiers = [[int(example.tier > step) for step in range(TIERS)] for example in examples]
    routes = [[int(route == example.route) for route in ROUTES] for example in routed]
    weighted = [(bare(each.text), each.weight * (RISK_WEIGHT if each.tier else 1.0)) for each in examples]
    alike = fit_heads(weighted, tiers, penalty=LIGHT_PENALTY)
    telling = fit_heads(weighted, tiers, trusts_telling=True)
    by_route = fit_heads([(bare(example.text), example.weight) for example in routed], routes)
    weights, biases = (
        torch.cat([(one + other) / 2, why]) for one, other, why in zip(alike, telling, by_route, strict=True)
    )
    heads = quantise(weights, biases)
    return LinearDetector(replace(heads, thresholds=(*THRESHOLDS, *heads.thresholds[TIERS:])))


def fit_heads(
    texts: Sequence[tuple[str, float]],
    targets: Sequence[Sequence[int]],
    *,
    penalty: float = PENALTY,
    rarity: float = 0.0,
    trusts_telling: bool = False,
) -> "tuple[Tensor, Tensor]":
    """Minimise the weighted log loss of several heads. `texts` with their weights, `targets` [texts][heads].

    Only the buckets that occur are fitted. `rarity` is the power of a bucket's inverse document frequency that makes it
    cheaper to learn from; with 0 all are alike. `trusts_telling` does the same by how well a bucket tells the first
    head's target. Returns weights [heads, buckets] and biases [heads] in double precision.
    """
    import torch

    torch.set_num_threads(1)
    ids, starts, scales = _flatten([text for text, _ in texts])
    used, columns, counts = torch.unique(torch.tensor(ids), return_inverse=True, return_counts=True)
    shape = (len(texts), len(used))
    target = torch.tensor(targets, dtype=torch.float32)
    counted = torch.tensor([weight for _, weight in texts])
    emphasis = (counts >= RARE) * (1 - torch.log(counts) / math.log(len(texts) + 1)).clamp(min=0) ** rarity
    if trusts_telling:
        lengths = torch.tensor([*starts[1:], len(ids)]) - torch.tensor(starts)
        trust = _log_odds(
            columns, torch.repeat_interleave(counted, lengths), torch.repeat_interleave(target[:, 0], lengths)
        )
        emphasis = emphasis * trust * counts.sum() / (trust * counts).sum()
    scale = torch.tensor(scales) * emphasis[columns]
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(enable=True):  # type: ignore[no-untyped-call]  # torch leaves it untyped
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        present = torch.sparse_csr_tensor(torch.tensor([*starts, len(ids)]), columns, scale, shape)
    transposed = present.to_sparse_coo().t().to_sparse_csr()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    importance = counted.unsqueeze(1) / len(texts)
    share = penalty / len(texts)
    weights, bias = torch.zeros(shape[1], target.shape[1]), torch.zeros(target.shape[1])
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=ITERATIONS, history_size=6, line_search_fn="strong_wolfe")

    def closure() -> float:
        """The loss; its gradient is written out, since going back through the sparse product takes most of the time."""
        logits = present @ weights + bias
        errors = importance * (torch.sigmoid(logits) - target)
        weights.grad, bias.grad = transposed @ errors + 2 * share * weights, errors.sum(0)
        loss = importance * (torch.nn.functional.softplus(logits) - target * logits)
        return float(loss.sum() + share * weights.square().sum())

    optimiser.step(closure)  # type: ignore[no-untyped-call] # torch leaves step untyped
    fitted = torch.zeros(BUCKETS, target.shape[1]).index_copy(0, used, weights * emphasis.unsqueeze(1))
    return fitted.t().double(), bias.double()


def _log_odds(columns: "Tensor", counted: "Tensor", is_danger: "Tensor") -> "Tensor":
    """Of each column, how far the odds of danger with it are from those without, within the bounds of `TELLING`."""
    import torch

    shares = []
    for kind in (is_danger, 1 - is_danger):
        found = torch.zeros(int(columns.max()) + 1).index_add(0, columns, counted * kind) + 1
        shares.append(found / found.sum())
    least, greatest = TELLING
    return (shares[0] / shares[1]).log().abs().clamp(max=greatest) + least


def quantise(weights: "Tensor", biases: "Tensor") -> Heads:
    """A signed byte a weight. `weights` [heads, buckets], `biases` [heads]."""
    steps = (weights.abs().amax(1) / MAX_LEVEL).clamp(min=1e-9)
    levels = (weights / steps.unsqueeze(1)).round().char().numpy()
    return Heads(
        thresholds=(0.5,) * len(biases),
        biases=tuple(biases.tolist()),
        steps=tuple(steps.tolist()),
        weights=tuple(array("b", head.tobytes()) for head in levels),
    )


def split(count: int, folds: int) -> Iterator[tuple[list[int], list[int]]]:
    """Held-out and remaining indices, fold by fold; the same for the same count."""
    order = list(range(count))
    random.Random(SEED).shuffle(order)  # noqa: S311 - a split, not a secret
    for fold in range(folds):
        held_out = order[fold::folds]
        yield held_out, sorted(set(order) - set(held_out))


def held_out_tiers(examples: Sequence[Example], others: Sequence[Example]) -> list[tuple[int, int]]:
    """The tier of each example by a detector that has not seen it: alone, and together with the rules."""
    tiers = [(0, 0)] * len(examples)
    for held_out, seen in folds_of(examples):
        detector = fit([*(examples[index] for index in seen), *others])
        for index in held_out:
            text = examples[index].text
            tiers[index] = (detector.read(text).tier, int(screen(text, detector=detector).tier))
    return tiers


def folds_of(examples: Sequence[Example], folds: int = FOLDS) -> Iterator[tuple[list[int], list[int]]]:
    """Held-out and remaining indices, fold by fold; a group is never split."""
    groups = sorted({example.group for example in examples})
    random.Random(SEED).shuffle(groups)  # noqa: S311 - a split, not a secret
    place = {group: number % folds for number, group in enumerate(groups)}
    for fold in range(folds):
        held_out = [index for index, example in enumerate(examples) if place[example.group] == fold]
        yield held_out, [index for index, example in enumerate(examples) if place[example.group] != fold]


def _danger(name: str) -> Iterator[Example]:
    tier, route = 0, ""
    for number, line in enumerate(written_lines(name)):
        if line.startswith("== "):
            stated, route = line[3:].split()
            tier, route = int(stated), {"third": "third_party", "eating": "eating_disorder"}.get(route, route)
            continue
        group = f"{name}:{number}"
        texts = expand(line, group)
        yield from _among_fillers([_example(text, tier, route, weight=weight_of(texts), group=group) for text in texts])


def weight_of(texts: Sequence[str]) -> float:
    """How much each variant of one template counts."""
    return PLAIN_WEIGHT if len(texts) == 1 else min(1.0, FULL_VARIANTS / len(texts))


def written_lines(name: str) -> list[str]:
    """The lines of a file in `training/` that are no comments."""
    lines = (files("training") / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _tier_of(row: Labelled) -> int:
    if row.labels & {"自杀计划", "自杀准备行为", "自杀未遂"}:
        return 3
    if row.labels & {"主动自杀意图", "自伤行为", "自伤意图"}:
        return 2
    return 1 if row.is_self_directed else 0


def _example(text: str, tier: int, route: str | None, *, weight: float, group: str) -> Example:
    return Example(text=rulebook().mask(normalise(text)), tier=tier, route=route, weight=weight, group=group)


def _found_by_rules(text: str) -> bool:
    return any(finding.subject is not Subject.OTHER_PAST for finding in rulebook().find(normalise(text)))


def _calm_words(dialogue: list[dict[str, str]]) -> list[str]:
    if any(COUNSELLOR_ALARM.search(message["content"]) for message in dialogue):
        return []
    said = [message["content"] for message in dialogue if message["role"] == "client"]
    sentences = [sentence for text in said for sentence in _SENTENCE.findall(text)]
    return [
        text
        for text in (*said[::2], *sentences)
        if SHORTEST <= len(text) <= MAX_CALM_LENGTH and not _HOPELESS.search(text)
    ]


@cache
def _features(text: str) -> "array[int]":
    return array("i", sorted(features(text)))


def _flatten(texts: Sequence[str]) -> tuple[list[int], list[int], list[float]]:
    ids: list[int] = []
    starts: list[int] = []
    scales: list[float] = []
    for text in texts:
        present = _features(text)
        starts.append(len(ids))
        ids.extend(present)
        scales.extend([1 / math.sqrt(len(present) or 1)] * len(present))
    return ids, starts, scales


def _report(name: str, examples: Sequence[Example], tiers: Iterable[int]) -> None:
    pairs = list(zip(examples, tiers, strict=True))
    for title, hits in (
        ("danger, at tier >= 1", [tier >= 1 for example, tier in pairs if example.tier]),
        ("acute danger, at tier >= 2", [tier >= TIERS - 1 for example, tier in pairs if example.tier == TIERS]),
        ("ordinary, at tier >= 1", [tier >= 1 for example, tier in pairs if not example.tier]),
        ("ordinary, at tier 3", [tier == TIERS for example, tier in pairs if not example.tier]),
    ):
        if hits:
            sys.stdout.write(f"{name:24} {title:28} {sum(hits) / len(hits):.3f}  {sum(hits)}/{len(hits)}\n")


def _facts(sources: dict[str, Path | None], general: Iterable[Path], examples: Sequence[Example]) -> str:
    lines = ["# Written by training/screening.py beside detector.bin; the card for people is detector.md."]
    lines += [f'{name}_sha256 = "{_digest(path)}"' for name, path in sources.items() if path is not None]
    lines += [f'general_sha256.{path.stem} = "{_digest(path)}"' for path in general]
    lines += [f"tier_{tier} = {sum(example.tier == tier for example in examples)}" for tier in range(TIERS + 1)]
    lines += [
        f"thresholds = {list(THRESHOLDS)}",
        f"penalties = {[LIGHT_PENALTY, PENALTY]}",
        f"seed = {SEED}",
        f"folds = {FOLDS}",
    ]
    return "\n".join(lines) + "\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Train and write the detector, or cross-validate it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("psysuicide", type=Path)
    parser.add_argument("smilechat", type=Path)
    parser.add_argument("cases", type=Path, nargs="?")
    parser.add_argument("--general", type=Path, nargs="*", default=[], help="plain texts without danger, one a line")
    parser.add_argument("--cross-validate", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("care/lexicon"), help="directory")
    arguments = parser.parse_args()
    written, gold = written_examples(), gold_examples(psysuicide.read(arguments.psysuicide))
    cases = case_examples(arguments.cases) if arguments.cases else []
    calm = [*calm_examples(arguments.smilechat), *general_examples(arguments.general)]
    if arguments.cross_validate:
        tiers = held_out_tiers([*written, *gold, *cases], calm)
        for name, part in (("written", written), ("PsySUICIDE", gold), ("cases", cases)):
            _report(name, part, (alone for alone, _ in tiers[: len(part)]))
            _report(f"{name}, with rules", part, (both for _, both in tiers[: len(part)]))
            del tiers[: len(part)]
        return
    examples = [*written, *gold, *cases, *calm]
    sources = {"psysuicide": arguments.psysuicide, "smilechat": arguments.smilechat, "cases": arguments.cases}
    (arguments.out / "detector.bin").write_bytes(pack(fit(examples).heads))
    (arguments.out / "detector.toml").write_text(_facts(sources, arguments.general, examples), "utf-8")


if __name__ == "__main__":
    main()
