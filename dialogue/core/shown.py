"""What a person showed and nobody could read for us, passed on to a human: an owed text that only names it.

A platform's reference stands where the words would, sealed like them. A sender that knows such references shows what
they mean; whoever does not sends a line without meaning, and no words.
"""

_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


def mark(reference: str) -> str:
    """The text that is owed."""
    return f"{_MARK}{reference}"


def reference_in(text: str) -> str | None:
    """What is to be shown, if that is what the text says."""
    return text.removeprefix(_MARK) if text.startswith(_MARK) else None
