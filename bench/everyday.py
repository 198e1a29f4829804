"""How often the screening alarms on ordinary texts that nobody wrote for it, one text a line.

    python -m bench.everyday FILE ... [--lines 2500]

`training.screening --general` learns from every other line of such files (the first, the third, ...); the lines between
are read here. No writer of these lines is known to be in danger, so every alarm counts as a false one.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from care.screening import screen
from training.evaluation.intervals import wilson

SEED: Final = 20261129
LINES: Final = 2500  # of one file, at most
CHARACTERS: Final = 200  # of one line


def unlearnt(path: Path, count: int = LINES) -> list[str]:
    """At most `count` of the lines that training leaves unread; the same for the same file."""
    lines = [line[:CHARACTERS] for line in path.read_text("utf-8", "replace").splitlines()[1::2] if line.strip()]
    random.Random(SEED).shuffle(lines)
    return lines[:count]


def tiers_of(texts: Sequence[str]) -> list[int]:
    """What the screening makes of each text by itself."""
    return [int(screen(text).tier) for text in texts]


def _row(name: str, tiers: Sequence[int]) -> str:
    shares = []
    for least in (1, 3):
        found = sum(tier >= least for tier in tiers)
        _, low, high, _ = wilson(found, len(tiers))
        shares.append(f"tier >= {least} {found / len(tiers):.4f} [{low:.4f}, {high:.4f}] {found}/{len(tiers)}")
    return f"{name:14} {'   '.join(shares)}\n"


def main() -> None:
    """Print a line of each file, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--lines", type=int, default=LINES, help="of one file, at most")
    arguments = parser.parse_args()
    everything: list[int] = []
    for path in arguments.files:
        tiers = tiers_of(unlearnt(path, arguments.lines))
        everything += tiers
        sys.stdout.write(_row(path.stem, tiers))
    sys.stdout.write(_row("all", everything))


if __name__ == "__main__":
    main()
