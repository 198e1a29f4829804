"""How the bootstrap speaks, and the one error that it expects."""

import shutil
import sys

from bootstrap.places import ROOT


class Trouble(Exception):
    """Something foreseeable stands in the way; the message is one line and says what to do."""


def say(words: str) -> None:
    """One line for the operator, beside whatever goes to standard output."""
    sys.stderr.write(f"dev.py: {words}\n")
    sys.stderr.flush()


def need_room(megabytes: int) -> None:
    """Raises `Trouble` unless the disk of the checkout has that much left."""
    free = shutil.disk_usage(ROOT).free // 1_000_000
    if free < megabytes:
        raise Trouble(f"the disk is too full: {megabytes} MB are needed, {free} MB are free in {ROOT}")
