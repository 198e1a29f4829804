"""Train the guard's second judge that ships in care/lexicon.

    python -m training.judging SMILECHAT [CASES ...]                    writes judge.bin
    python -m training.judging SMILECHAT [CASES ...] --cross-validate   prints what it does on held-out folds
    python -m training.judging SMILECHAT [CASES ...] --without CASES    writes one that has learnt none of these

What it learns from: harmful and good replies written for the project (`training/care/replies_*.txt`), our own crisis
words and sentences of SmileChat's counsellors as good ones, what people in danger write as a counsellor says it back
to them, and the replies of CASES, files in the form of `bench.care`.
"""

import argparse
import gzip
import json
import random
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from care.guard import without_quotes
from care.judge import REASONS, SHORTEST, STRICT_THRESHOLD, THRESHOLD, bare, is_harmful, sentences
from care.linear import Heads, pack
from care.normalise import in_mandarin
from training.reflections import reflections
from training.screening import FOLDS, PLAIN_WEIGHT, SEED, expand, fit_heads, quantise, weight_of, written_lines
from worker.prewritten.script import script

if TYPE_CHECKING:
    from torch import Tensor

BAD: Final = (
    "care/replies_bad.txt",
    "care/replies_bad_kinds.txt",
    "care/replies_bad_voices.txt",
    "care/replies_bad_more.txt",
    "care/replies_bad_polite.txt",
)
GOOD: Final = (
    "care/replies_good.txt",
    "care/replies_good_kinds.txt",
    "care/replies_good_voices.txt",
    "care/replies_good_more.txt",
    "care/replies_good_polite.txt",
)
MARKED: Final = (
    "care/replies_whole_bad.txt",
    "care/replies_whole_good.txt",
    "care/replies_whole_good_kinds.txt",
    "care/replies_whole_spent.txt",
)
PAIRS: Final = ("care/replies_pairs.txt", "care/replies_pairs_kinds.txt")
BESIDE_HARM_WEIGHT: Final = 0.5  # of a sentence that stands beside a harmful one and does no harm by itself
COUNSELLORS_COUNT: Final = 48000  # sentences of SmileChat's counsellors
MAX_LENGTH: Final = 80  # characters
COUNSELLORS_WEIGHT: Final = 1.0
CASES_WEIGHT: Final = 1.5
RARITY: Final = 1.0  # words that stand in nearly every reply say little of what it does
LESS_RARITY: Final = 0.5  # in the reading that trusts telling n-grams
DIALOGUE_STRIDE: Final = 12
_SENTENCE: Final = re.compile(r"[^。！？!?\n]+")
_SLOT: Final = re.compile(r"\{\w+\}")
_MARK: Final = re.compile(r"<(\w+)>")
_CATEGORIES: Final = {  # of cases, where they differ from our reasons
    "prescription": "medication",
    "meds": "medication",
    "diagnose": "diagnosis",
    "discourage": "dependency",
    "dependence": "dependency",
    "abandon": "burden",
    "guilt": "coercion",
    "conversion": "blame",
    "grooming": "minor",
} | dict.fromkeys(("validate", "farewell", "letter", "eating", "selfharm", "violence", "hopeless"), "encourage")
_NOT_JUDGED: Final = ("numbers",)  # the directory's matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One sentence and why it does harm, if it does. `group`: what must stay in one fold."""

    text: str
    reason: str | None
    weight: float
    group: str


def written_replies() -> list[Reply]:
    """Harmful and good replies, by template."""
    by_template = [reply for name in BAD for reply in _harmful(name)]
    by_template += [reply for name in GOOD for reply in _good(name)]
    by_template += [reply for name in MARKED for reply in _marked(name)]
    return by_template + [reply for name in PAIRS for reply in _paired(name)]


def own_words() -> list[Reply]:
    """What we say ourselves, in a crisis and otherwise, sentence by sentence: people wrote and reviewed it."""
    scripts = tomllib.loads((files("care.scripts") / "zh.toml").read_text("utf-8"))["script"]
    others = tomllib.loads((files("care.locales") / "zh.toml").read_text("utf-8")).values()
    texts = [text for one in scripts for text in one["variants"]]
    texts += [text for text in others if isinstance(text, str)]
    texts += [_SLOT.sub("", text) for text in script().sentences()]
    said = dict.fromkeys(sentence for text in texts for sentence in _SENTENCE.findall(text))
    return [_reply(sentence, None, group=sentence, weight=CASES_WEIGHT) for sentence in said]


def case_replies(path: Path) -> list[Reply]:
    """Replies of a file in the form of `bench.care`, without the harmful ones of several sentences: which one is it?"""
    cases = [case for case in json.loads(path.read_text("utf-8"))["guard"] if case["cat"] not in _NOT_JUDGED]
    return [reply for case in cases for reply in _of_case(case["text"], _harm_of(case))]


def without(replies: Iterable[Reply], path: Path) -> list[Reply]:
    """The replies but those that stand in a file in the form of `bench.care`, wherever they came from."""
    texts = (case["text"] for case in json.loads(path.read_text("utf-8"))["guard"])
    said = {part for text in texts for part in _parts(text)}
    return [reply for reply in replies if reply.text not in said]


def reflected() -> list[Reply]:
    """What people in danger write, said back to them."""
    return [_reply(text, None, group=text) for text in reflections()]


def counsellors_replies(smilechat: Path) -> list[Reply]:
    """Sentences of counsellors, which are good or at least harmless, nearly all of them."""
    said: list[str] = []
    with gzip.open(smilechat, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % DIALOGUE_STRIDE == 0:
                turns = (turn["content"] for turn in json.loads(line) if turn["role"] == "counselor")
                said += [sentence for turn in turns for sentence in _SENTENCE.findall(turn)]
    random.Random(SEED).shuffle(said)  # noqa: S311 - a sample, not a secret
    kept = [text for text in said if SHORTEST <= len(text) <= MAX_LENGTH][:COUNSELLORS_COUNT]
    return [_reply(text, None, group=text, weight=COUNSELLORS_WEIGHT) for text in kept]


def fit(replies: Sequence[Reply]) -> Heads:
    """One head for whether from all replies, one for each reason from the harmful ones."""
    import torch

    harmful = [reply for reply in replies if reply.reason is not None]
    whether = _fit_whether(replies)
    why = fit_heads(
        [(r.text, r.weight) for r in harmful],
        [[int(r.reason == reason) for reason in REASONS] for r in harmful],
        rarity=RARITY,
    )
    weights, biases = (torch.cat(both) for both in zip(whether, why, strict=True))
    return quantise(weights, biases)


def _fit_whether(replies: Sequence[Reply]) -> "tuple[Tensor, Tensor]":
    """The mean of two fits, which err on different replies: one goes by rarity alone, one by what tells harm, too."""
    texts, targets = [(r.text, r.weight) for r in replies], [[int(r.reason is not None)] for r in replies]
    rare = fit_heads(texts, targets, rarity=RARITY)
    telling = fit_heads(texts, targets, rarity=LESS_RARITY, trusts_telling=True)
    return (rare[0] + telling[0]) / 2, (rare[1] + telling[1]) / 2


def cross_validate(replies: Sequence[Reply], others: Sequence[Reply]) -> list[tuple[bool, bool]]:
    """For each reply, whether a judge that has seen neither it nor its like stops it: ordinarily, and strictly."""
    groups = sorted({reply.group for reply in replies})
    random.Random(SEED).shuffle(groups)  # noqa: S311 - a split, not a secret
    place = {group: number % FOLDS for number, group in enumerate(groups)}
    stopped = [(False, False)] * len(replies)
    for fold in range(FOLDS):
        held_out = {reply.text for reply in replies if place[reply.group] == fold}
        seen = [r for r in replies if place[r.group] != fold and r.text not in held_out]
        judged = partial(is_harmful, heads=quantise(*_fit_whether([*seen, *others])))
        for index, reply in enumerate(replies):
            if place[reply.group] == fold:
                stopped[index] = (judged(reply.text, is_strict=False), judged(reply.text, is_strict=True))
    return stopped


def _harmful(name: str) -> Iterator[Reply]:
    reason = ""
    for number, line in enumerate(written_lines(name)):
        if line.startswith("== "):
            reason = line[3:].strip()
        elif reason in REASONS:  # numbers are the directory's matter
            yield from _expanded(line, reason, group=f"{name}:{number}")


def _good(name: str) -> Iterator[Reply]:
    """A good reply of several sentences is good in each of them."""
    for number, line in enumerate(written_lines(name)):
        for reply in _expanded(without_quotes(line), None, group=f"{name}:{number}"):
            parts = (bare(reply.text[start:end]) for start, end in sentences(reply.text))
            yield from (replace(reply, text=part) for part in parts if len(part) >= SHORTEST)


def _marked(name: str) -> Iterator[Reply]:
    """Whole replies by sentences; a harmful one has its reason in front."""
    for number, line in enumerate(written_lines(name)):
        parts = ["", *_MARK.split(line)]  # a reason, what follows it, and so on
        does_harm = len(parts) > 2  # noqa: PLR2004 - more than what stands before the first mark
        for reason, text in zip(parts[::2], parts[1::2], strict=True):
            yield from _by_sentence(text, reason or None, group=f"{name}:{number}", stands_beside_harm=does_harm)


def _paired(name: str) -> Iterator[Reply]:
    """A harmful reply and a good one with its words, a line."""
    reason = ""
    for number, line in enumerate(written_lines(name)):
        if line.startswith("== "):
            reason = line[3:].strip()
            continue
        harmful, good = line.split("||")
        yield from _by_sentence(harmful, reason, group=f"{name}:{number}")
        yield from _by_sentence(good, None, group=f"{name}:{number}")


def _harm_of(case: Mapping[str, str]) -> str | None:
    return _CATEGORIES.get(case["cat"], case["cat"]) if case["kind"] == "bad" else None


def _of_case(text: str, reason: str | None) -> Iterator[Reply]:
    parts = _parts(text)
    if reason is None or len(parts) == 1:
        yield from (_reply(part, reason, group=text, weight=CASES_WEIGHT) for part in parts)


def _parts(text: str) -> list[str]:
    """A reply's sentences as the guard reads them."""
    said = without_quotes(in_mandarin(text))
    return [part for start, end in sentences(said) if len(part := bare(said[start:end])) >= SHORTEST]


def _by_sentence(text: str, reason: str | None, *, group: str, stands_beside_harm: bool = False) -> Iterator[Reply]:
    """The first sentence has the reason, the others have none."""
    said = without_quotes(text) if reason is None else text
    for number, (start, end) in enumerate(sentences(said)):
        own = reason if number == 0 else None
        weight = BESIDE_HARM_WEIGHT if own is None and stands_beside_harm else PLAIN_WEIGHT
        reply = _reply(said[start:end], own, group=group, weight=weight)
        if len(reply.text) >= SHORTEST:
            yield reply


def _expanded(line: str, reason: str | None, *, group: str) -> list[Reply]:
    texts = expand(line, group)
    return [_reply(text, reason, group=group, weight=weight_of(texts)) for text in texts]


def _reply(text: str, reason: str | None, *, group: str, weight: float = 1.0) -> Reply:
    return Reply(text=bare(in_mandarin(text)), reason=reason, weight=weight, group=group)


def _report(name: str, replies: Iterable[Reply], stopped: Iterable[tuple[bool, bool]]) -> None:
    pairs = list(zip(replies, stopped, strict=True))
    for column, threshold in enumerate((THRESHOLD, STRICT_THRESHOLD)):
        for title, does_harm in (("harmful stopped", True), ("good stopped", False)):
            hits = [found[column] for reply, found in pairs if (reply.reason is not None) is does_harm]
            if hits:
                shares = f"{sum(hits) / len(hits):.3f}  {sum(hits)}/{len(hits)}"
                sys.stdout.write(f"{name:8} at {threshold:.2f}  {title:16} {shares}\n")


def main() -> None:
    """Train and write the judge, or cross-validate it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("smilechat", type=Path)
    parser.add_argument("cases", type=Path, nargs="*")
    parser.add_argument("--cross-validate", action="store_true")
    parser.add_argument(
        "--without", type=Path, nargs="*", default=[], help="files whose replies it must not learn from"
    )
    parser.add_argument("--out", type=Path, default=Path("care/lexicon"), help="directory")
    arguments = parser.parse_args()
    written = written_replies()
    cases = [reply for path in arguments.cases for reply in case_replies(path)]
    others = [*counsellors_replies(arguments.smilechat), *own_words(), *reflected()]
    if arguments.cross_validate:
        stopped = cross_validate([*written, *cases], others)
        _report("written", written, stopped[: len(written)])
        _report("cases", cases, stopped[len(written) :])
        return
    replies = [*written, *cases, *others]
    for path in arguments.without:
        replies = without(replies, path)
    (arguments.out / "judge.bin").write_bytes(pack(fit(replies)))


if __name__ == "__main__":
    main()
