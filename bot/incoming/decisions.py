"""What happens to one message, in this order: each step answers it, or passes the situation on to the next."""

from collections.abc import Callable

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from bot.incoming.steps import (
    acute_danger,
    admin_desk,
    age_correction,
    age_told,
    ai_label,
    blocked,
    came_late,
    commands,
    complaint,
    consent_answer,
    consent_before_commands,
    consent_button,
    consent_gate,
    danger_before_consent,
    delete_data,
    edit,
    emergency_contact,
    empty,
    export_data,
    human_takeover,
    identity_question,
    message_limits,
    minor_rest,
    minor_return,
    model_turn,
    not_text,
    reminders,
    repeat,
    source_label,
    stale_button,
    too_long,
    too_young,
)

Decision = Callable[[Situation], Outcome]

DECISIONS: tuple[Decision, ...] = (
    edit.decide,
    repeat.decide,
    stale_button.decide,
    blocked.decide,
    consent_button.decide,
    not_text.decide,
    empty.decide,
    too_long.decide,
    admin_desk.decide,
    source_label.decide,
    consent_before_commands.decide,
    export_data.decide,
    delete_data.decide,
    complaint.decide,
    emergency_contact.decide,
    commands.decide,
    consent_answer.decide,
    danger_before_consent.decide,
    consent_gate.decide,
    identity_question.decide,
    message_limits.decide,
    age_correction.decide,
    age_told.decide,
    too_young.decide,
    minor_rest.decide,
    minor_return.decide,
    reminders.decide,
    ai_label.decide,
    human_takeover.decide,
    acute_danger.decide,
    came_late.decide,
    model_turn.decide,
)


def names() -> list[str]:
    """The steps by the names of their modules, in their order."""
    return [decision.__module__.rpartition(".")[2] for decision in DECISIONS]


def decide(situation: Situation) -> Receipt:
    """Ask one step after the other until one answers; the last of them always does."""
    for decision in DECISIONS:
        outcome = decision(situation)
        if isinstance(outcome, Receipt):
            return outcome
        situation = outcome
    raise AssertionError("no step answered")
