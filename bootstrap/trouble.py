"""The bootstrap's messages, and its one expected error."""

import shutil
import sys

from bootstrap.places import ROOT


class Trouble(Exception):
    """An expected error; the message is one line and says what to do."""


def say(words: str) -> None:
    """Print one line for the operator on stderr."""
    sys.stderr.write(f"dev.py: {words}\n")
    sys.stderr.flush()


def need_room(megabytes: int) -> None:
    """Raises `Trouble` unless the checkout's disk has that much free space."""
    free = shutil.disk_usage(ROOT).free // 1_000_000
    if free < megabytes:
        raise Trouble(f"not enough disk space: {megabytes} MB needed, {free} MB free in {ROOT}")
