"""Something that cannot be read: said so once for several in a row; an admin who answers here is told that it came."""

from bot.incoming import answers, consent_question, relay
from bot.incoming.situation import NotText, Outcome, Situation

_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


def decide(situation: Situation) -> Outcome:
    if not isinstance(situation.what, NotText):
        return situation
    if not situation.rules.gate.is_open(situation.person):
        return consent_question.ask(situation, None)
    if situation.is_held_by_a_human:
        relay.pass_on(situation, situation.rules.texts.say("takeover_not_text"))
    return answers.say_once(situation, situation.rules.texts.say("error_not_text"), mark=_MARK)
