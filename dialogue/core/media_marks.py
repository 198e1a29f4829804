"""What a person showed and nobody could read for us, passed on to a human: an owed text that only names it.

A platform's reference stands where the words would, sealed like them; or the id of what was fetched (`media`). A sender
that knows such references shows what they mean; whoever does not sends a line without meaning, and no words.
"""

from uuid import UUID

_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
_KEPT = f"{_MARK}{_MARK}"


def mark(reference: str) -> str:
    """The text that is owed."""
    return f"{_MARK}{reference}"


def reference_in(text: str) -> str | None:
    """What is to be shown, if that is what the text says."""
    return text.removeprefix(_MARK) if text.startswith(_MARK) else None


def mark_kept(medium_id: UUID) -> str:
    """The text that is owed where the content is ours to send."""
    return f"{_KEPT}{medium_id}"


def kept_in(text: str) -> UUID | None:
    """Which of `media` is to be sent, if that is what the text says."""
    return UUID(text.removeprefix(_KEPT)) if text.startswith(_KEPT) else None
