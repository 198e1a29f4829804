"""Measure risk screening on a JSON list of {text, labels} with PsySUICIDE's labels.

    python -m bench.screening FILE                                  what the shipped screening does
    python -m bench.screening FILE --cross-validate --weak CHATS    what it does on texts new to the detector

The second form trains the detector anew for each fold (CHATS is SmileChat, for the calm part). Rules are the same in
every fold: on the file they were written with, even these numbers are too good.
"""

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from care.screening import Tier, screen
from training import psysuicide
from training.evaluation.intervals import wilson
from training.psysuicide import Labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of texts, with Wilson's 95 % interval; all None where there was no text."""

    share: float | None
    low: float | None
    high: float | None
    found: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the screening finds, over all and by class."""

    recall: Share  # self-directed risk at tier >= 1
    acute_recall: Share  # plan, attempt, preparation, behaviour at tier >= 2
    false_alarms: Share  # the unrelated class at tier >= 1
    classes: dict[str, tuple[Share, Share]]  # by label, at tier >= 1 and at tier >= 2


def measure(rows: list[Labelled], tiers: list[Tier]) -> Report:
    """Compare labels with tiers, text by text."""
    pairs = list(zip(rows, tiers, strict=True))
    labels = sorted({label for row in rows for label in row.labels})
    return Report(
        recall=_share(tier >= Tier.DISTRESS for row, tier in pairs if row.is_self_directed),
        acute_recall=_share(tier >= Tier.ACTIVE for row, tier in pairs if row.is_acute),
        false_alarms=_share(tier >= Tier.DISTRESS for row, tier in pairs if row.is_unrelated),
        classes={label: _class(label, pairs) for label in labels},
    )


def as_json(report: Report) -> dict[str, object]:
    """One flat object for machines; intervals beside the shares."""
    totals = {"recall": report.recall, "acute_recall": report.acute_recall, "false_alarms": report.false_alarms}
    shares: dict[str, object] = {name: total.share for name, total in totals.items()}
    intervals = {name: asdict(total) for name, total in totals.items()}
    classes = {
        label: {"count": tier_1.count, "tier_1": asdict(tier_1), "tier_2": asdict(tier_2)}
        for label, (tier_1, tier_2) in report.classes.items()
    }
    return shares | {"intervals": intervals, "classes": classes}


def as_table(report: Report) -> str:
    """Lines for people."""
    lines = [
        _line("recall (self-directed, tier >= 1)", report.recall),
        _line("acute recall (tier >= 2)", report.acute_recall),
        _line("false alarms (unrelated, tier >= 1)", report.false_alarms),
        "",
    ]
    for label, (tier_1, tier_2) in report.classes.items():
        lines += [_line(f"{label}  tier >= 1", tier_1), _line(f"{label}  tier >= 2", tier_2)]
    return "\n".join(lines)


def screen_all(rows: Iterable[Labelled]) -> list[Tier]:
    """The shipped screening, rules and detector."""
    return [screen(row.text).tier for row in rows]


def screen_held_out(rows: list[Labelled], weak_source: Path | None, folds: int) -> list[Tier]:
    """Rules, and for each fold a detector trained without it."""
    from training import screening as trainer

    others = trainer.written_examples() + (trainer.calm_examples(weak_source) if weak_source else [])
    tiers = [Tier.NONE] * len(rows)
    for held_out, seen in trainer.split(len(rows), folds):
        detector = trainer.fit([*trainer.gold_examples(rows[index] for index in seen), *others])
        for index in held_out:
            tiers[index] = screen(rows[index].text, detector=detector).tier
    return tiers


def is_training_file(path: Path) -> bool:
    """Whether the shipped detector was trained on exactly this file."""
    facts = tomllib.loads((files("care") / "lexicon" / "detector.toml").read_text("utf-8"))
    return bool(hashlib.sha256(path.read_bytes()).hexdigest() == facts["psysuicide_sha256"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--cross-validate", action="store_true", help="train the detector anew without each fold")
    parser.add_argument("--weak", type=Path, help="SmileChat as .jsonl.gz, for --cross-validate")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = psysuicide.read(options.file)
    tiers = screen_held_out(rows, options.weak, options.folds) if options.cross_validate else screen_all(rows)
    report = measure(rows, tiers)
    if not options.cross_validate and is_training_file(options.file):
        print("The detector was trained on this very file: use --cross-validate for numbers to quote.", file=sys.stderr)
    print(json.dumps(as_json(report), ensure_ascii=False) if options.json else as_table(report))


def _class(label: str, pairs: list[tuple[Labelled, Tier]]) -> tuple[Share, Share]:
    tiers = [tier for row, tier in pairs if label in row.labels]
    return _share(tier >= Tier.DISTRESS for tier in tiers), _share(tier >= Tier.ACTIVE for tier in tiers)


def _share(hits: Iterable[bool]) -> Share:
    found = list(hits)
    count, positive = len(found), sum(found)
    if not count:
        return Share(share=None, low=None, high=None, found=0, count=0)
    interval = wilson(positive, count)
    return Share(share=interval.value, low=interval.low, high=interval.high, found=positive, count=count)


def _line(name: str, share: Share) -> str:
    if share.share is None:
        return f"{'-':>7}  {'':16}  {'0':>9}  {name}"
    counts = f"{share.found}/{share.count}"
    return f"{share.share:7.4f}  [{share.low:.4f}, {share.high:.4f}]  {counts:>9}  {name}"


if __name__ == "__main__":
    main()
