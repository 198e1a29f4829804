"""After a pause somebody under age begins a new conversation, unless there was danger in the last one."""

from dataclasses import replace

from bot.incoming.situation import UNDER_AGE, Outcome, Situation
from care.screening import Tier
from dialogue.core import conversations, visits
from dialogue.states import ClosedBy


def decide(situation: Situation) -> Outcome:
    is_return = situation.attendance.is_return and situation.person.age_band in UNDER_AGE
    conversation = situation.conversation
    if not is_return or conversation is None:
        return situation
    if situation.is_held_by_a_human or situation.course.tier >= Tier.ACTIVE:
        return situation
    cancelled = conversations.reset(situation.session, conversation.id, by=ClosedBy.PAUSE, now=situation.now)
    situation = situation.without_conversation()
    if not cancelled:
        return situation
    visits.forget_label(situation.session, situation.person.id)  # a discarded reply was perhaps to carry it
    visit = replace(situation.person.visit, labelled_at=None)
    return replace(situation, person=replace(situation.person, visit=visit))
