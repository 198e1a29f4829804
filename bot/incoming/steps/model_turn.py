"""The words join the turn that waits for the model, or open the next; what we say ourselves stands before and after."""

from bot.incoming import answers, danger, visit
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from care.course import Assessment
from care.screening import Tier
from care.scripts import Says
from dialogue.core import intake
from dialogue.states import DeliveryKind


def decide(situation: Situation) -> Outcome:
    assessment, (situation, conversation) = situation.assessed, situation.in_conversation()
    received = intake.append_to_turn(
        situation.session,
        situation.person,
        situation.message,
        conversation.id,
        text=situation.words.text,
        postscript=_behind_the_reply(situation, assessment),
        now=situation.now,
    )
    said = _before_the_reply(situation, assessment)
    receipt = Receipt(
        conversation_id=conversation.id,
        turn_id=received.turn_id,
        is_new_turn=received.is_new_turn,
        answered_at_once=answers.say(situation, received.message_id, said, conversation_id=conversation.id),
        risk=danger.risk(situation.words.screening, assessment),
    )
    return visit.keep(situation, receipt)


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
