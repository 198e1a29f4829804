"""A button under the notice: yes, no, or an age."""

from bot.incoming import consent_answers
from bot.incoming.situation import Button, Outcome, Situation


def decide(situation: Situation) -> Outcome:
    if isinstance(situation.what, Button):
        return consent_answers.obey(situation, situation.what.answer)
    return situation
