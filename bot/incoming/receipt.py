"""What became of one message."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from dialogue.core.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What the screening found in one message, and whether somebody was alarmed because of it."""

    tier: int
    alarm_tier: int | None  # of the whole conversation

    @property
    def is_alarm(self) -> bool:
        return self.alarm_tier is not None


class ConsentOutcome(StrEnum):
    """What became of an answer to the notice."""

    AGREED = "agreed"
    AGREED_BEFORE = "agreed_before"  # nothing changed
    DECLINED = "declined"
    TOO_YOUNG = "too_young"
    ASKED = "asked"  # they are shown the notice first

    @property
    def is_final(self) -> bool:
        """Whether the notice has been answered."""
        return self is not ConsentOutcome.ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a message: a repeat, a command, a refusal, or words that joined a turn."""

    is_repeat: bool = False
    command: Command | None = None
    conversation_id: UUID | None = None
    turn_id: UUID | None = None
    is_new_turn: bool = False  # else the words joined one that waited
    answered_at_once: UUID | None = None  # the delivery that holds our own answer
    cancelled_turn_ids: list[UUID] = field(default_factory=list)
    risk: Risk | None = None
    consent: ConsentOutcome | None = None  # of an answer to the notice
    language: str | None = None  # what the person is spoken to in

    @property
    def outcome(self) -> str:
        """In one word, for those who count."""
        if self.is_repeat:
            return "repeat"
        if self.command is not None:
            return "command"
        if self.turn_id is not None:
            return "turn"
        return "answered" if self.answered_at_once is not None else "silent"
