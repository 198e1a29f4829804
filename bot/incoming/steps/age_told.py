"""What somebody says of their age by the way can only protect them more; they are told what follows from it."""

from dataclasses import replace

from bot.incoming.situation import Outcome, Situation
from care.age import ADULT, band_of, youngest
from dialogue.core import consent


def decide(situation: Situation) -> Outcome:
    told, person = situation.words.screening.age, situation.person
    if told is None or told >= ADULT:
        return situation
    band = youngest([person.age_band, band_of(told)])
    if band is None or band is person.age_band:
        return situation
    consent.note_band(situation.session, person, band)
    reminders = (*situation.reminders, situation.rules.gate.say("disclosure_minor"))
    return replace(situation, person=replace(person, age_band=band), reminders=reminders)
