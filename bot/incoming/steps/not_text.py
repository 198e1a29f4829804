"""Something that cannot be read: said so once in a row; an admin who answers here sees it or hears of it."""

from dataclasses import replace

from bot.incoming import answers, consent_question, relay
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Aside, NotText, Outcome, Situation, Text
from care.screening import Tier

_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


def decide(situation: Situation) -> Outcome:
    if not isinstance(situation.what, NotText | Aside):
        return situation
    is_shown = isinstance(situation.what, NotText) and relay.may_show(situation) and relay.show(situation)
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
    if situation.is_held_by_a_human:
        key = "takeover_shown" if is_shown else "takeover_not_text"
        relay.pass_on(situation, situation.rules.texts.say(key))
    key = "error_not_text_but_shown" if is_shown else "error_not_text"
    return answers.say_once(situation, situation.rules.texts.say(key), mark=_MARK)
