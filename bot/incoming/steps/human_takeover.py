"""An admin took the conversation over: the words are relayed to them, and the model is not asked."""

from bot.incoming import relay, visit
from bot.incoming.situation import Outcome, Situation


def decide(situation: Situation) -> Outcome:
    if not situation.is_held_by_a_human:
        return situation
    return visit.keep(situation, relay.answer(situation))
