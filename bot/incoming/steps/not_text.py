"""Something that cannot be read: said so once in a row; an admin who answers here sees it or hears of it."""

from dataclasses import replace

from bot.incoming import answers, consent_question, relay
from bot.incoming.receipt import Receipt
from bot.incoming.relay import Sight
from bot.incoming.situation import Aside, NotText, Outcome, Situation, Text
from care.screening import Tier

_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


def decide(situation: Situation) -> Outcome:
    if not isinstance(situation.what, NotText | Aside):
        return situation
    is_to_be_shown = isinstance(situation.what, NotText) and relay.may_show(situation)
    sight = relay.show(situation) if is_to_be_shown else Sight.NONE
    if situation.words.screening_at_length.tier >= Tier.ACTIVE:
        # a file's name, or a topic's, is the person's choice: danger in it is answered as words are
        words = replace(situation.words, raw=situation.words.beside, beside="")
        return replace(situation, what=Text(), words=words)
    if isinstance(situation.what, Aside):
        return Receipt()
    if not situation.rules.gate.is_open(situation.person):
        return consent_question.ask(situation, None)
    if situation.platform_holder is not None:  # who sees it there; a sentence of ours would come when they have ended
        answers.store(situation, _MARK)
        return Receipt()
    if sight is Sight.COPIED:
        relay.pass_on(situation, situation.rules.texts.say("takeover_shown"))
    key = "error_not_text" if sight is Sight.NONE else "error_not_text_but_shown"
    return answers.say_once(situation, situation.rules.texts.say(key), mark=_MARK)
