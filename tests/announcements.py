"""Remembers what a database announced, instead of telling anybody."""

from uuid import UUID

from dialogue.storage.after_commit import Hints


class Announcements:
    """Each field holds what was announced since the last `clear`."""

    def __init__(self) -> None:
        self.owed_channels: set[str] = set()
        self.rung_conversation_ids: set[UUID] = set()
        self.cancelled_turn_ids: set[UUID] = set()

    def __call__(self, hints: Hints) -> None:
        self.owed_channels.update(hints.owed_channels)
        self.rung_conversation_ids.update(hints.waiting_conversation_ids)
        self.cancelled_turn_ids.update(hints.cancelled_turn_ids)

    def clear(self) -> None:
        self.owed_channels.clear()
        self.rung_conversation_ids.clear()
        self.cancelled_turn_ids.clear()
