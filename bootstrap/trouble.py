"""How the bootstrap speaks, and the one error that it expects."""

import sys


class Trouble(Exception):
    """Something foreseeable stands in the way; the message is one line and says what to do."""


def say(words: str) -> None:
    """One line for the operator, beside whatever goes to standard output."""
    sys.stderr.write(f"dev.py: {words}\n")
    sys.stderr.flush()
