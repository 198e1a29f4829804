"""Somebody asks for a human: the staff are told, and the person hears truthfully whether one is on duty."""

from datetime import timedelta

from bot.incoming import command_answers, staff_alert
from bot.incoming.situation import Situation
from care.identity import Question
from dialogue.admin import audit, duty
from dialogue.admin.audit import Whom
from dialogue.admin.cases.opening import ASKED_LEVEL, open_case
from dialogue.core import budgets
from dialogue.core.conversations import OpenConversation
from dialogue.states import CaseKind

QUIET = timedelta(minutes=30)
"""Staff are not told again of the same conversation for so long."""


def ask_for_a_human(situation: Situation, conversation: OpenConversation) -> str:
    """Alert the staff, if there are any, and say what is true; a number is named in any case."""
    rules, session, now = situation.rules, situation.session, situation.now
    if not rules.is_attended:
        return command_answers.say(situation, Question.FOR_A_HUMAN)
    if not duty.was_asked_for(session, conversation.id, since=now - QUIET):
        whom = Whom(person_id=situation.person.id, conversation_id=conversation.id)
        audit.note(session, actor="person", action=duty.ASKED_FOR_A_HUMAN, whom=whom, reason=None, now=now)
        open_case(
            session,
            situation.rules.office,
            kind=CaseKind.HUMAN,
            person_id=situation.person.id,
            conversation_id=conversation.id,
            level=ASKED_LEVEL,
            now=now,
        )
        staff_alert.alert(situation, "handover_asked")
    if situation.message.can_hand_over:
        budgets.want_platform_human(session, situation.message.address, now=now)
        return command_answers.say(situation, "handover_here")
    if not duty.has_staff(session, rules.office, rules.duty_hours):
        return command_answers.say(situation, Question.FOR_A_HUMAN)
    is_on_duty = duty.is_somebody_there(session, rules.office, rules.duty_hours, now=now)
    hours = f"（{rules.duty_hours.spoken(rules.texts.locale)}）" if rules.duty_hours else ""
    return command_answers.say(situation, "handover_on_duty" if is_on_duty else "handover_off_duty", hours=hours)
