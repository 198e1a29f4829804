"""The words join the turn that waits for the model, or open the next; what we say ourselves stands before and after."""

from uuid import UUID

from bot.incoming import answers, danger, visit
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from care.course import Assessment
from care.screening import Tier
from care.scripts import Says
from dialogue.core import intake
from dialogue.core.intake import Received
from dialogue.states import DeliveryKind


def decide(situation: Situation) -> Outcome:
    assessment, (situation, conversation) = situation.assessed, situation.in_conversation()
    received = _received(situation, assessment, conversation.id)
    said = _before_the_reply(situation, assessment)
    if situation.message.delayed_hours and received.is_new_turn:
        late = situation.rules.texts.say("late_heard", hours=situation.message.delayed_hours)
        said.insert(0, (late, DeliveryKind.NOTICE))
    if situation.held_until is not None and received.is_new_turn:
        said.append((situation.rules.texts.say("limit_held"), DeliveryKind.NOTICE))
    receipt = Receipt(
        conversation_id=conversation.id,
        turn_id=received.turn_id,
        is_new_turn=received.is_new_turn,
        cancelled_turn_ids=[received.instead_of] if received.instead_of is not None else [],
        answered_at_once=answers.say(situation, received.message_id, said, conversation_id=conversation.id),
        risk=danger.risk(situation.words.screening, assessment),
    )
    return visit.keep(situation, receipt)


def _received(situation: Situation, assessment: Assessment, conversation_id: UUID) -> Received:
    session, person, message, text = situation.session, situation.person, situation.message, situation.words.text
    postscript, now = _behind_the_reply(situation, assessment), situation.now
    replaced = situation.replaces
    if replaced is not None and replaced.turn_id is not None:
        return intake.revise(session, person, message, replaced, text=text, postscript=postscript, now=now)
    return intake.append_to_turn(
        session,
        person,
        message,
        conversation_id,
        text=text,
        postscript=postscript,
        held_until=situation.held_until,
        now=now,
    )


def _before_the_reply(situation: Situation, assessment: Assessment) -> list[answers.Said]:
    said = danger.crisis_words(assessment)
    if assessment.course.tier < Tier.ACTIVE:
        said[:0] = [(text, DeliveryKind.NOTICE) for text in situation.reminders]
    if situation.preface is not None:
        said.insert(0, (situation.preface, DeliveryKind.CRISIS))
    return said


def _behind_the_reply(situation: Situation, assessment: Assessment) -> str | None:
    afterwards = [script.text for script in assessment.scripts if script.says is Says.AFTER]
    return "\n\n".join([*([situation.label] if situation.label else []), *afterwards]) or None
