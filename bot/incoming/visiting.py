"""Words of somebody who may come in: counted into their visit, with what is due to be told them now."""

from dataclasses import replace

from bot.incoming.consent import Doorstep, Gate
from bot.incoming.receipt import Receipt
from bot.incoming.reception import Reception
from care.age import ADULT, AgeBand, band_of, youngest
from care.disclosure import answer
from care.screening import Screening, Tier
from care.scripts import Voice
from care.visit import Attendance, Visit, attend, is_label_due
from dialogue.core import consent, visits

_UNDER_AGE = {AgeBand.MINOR, AgeBand.CHILD}


def hear(
    reception: Reception, gate: Gate, voice: Voice, text: str, screening: Screening, *, preface: str | None = None
) -> Receipt:
    """Take them in as their age and their visit allow; danger comes before both."""
    person = reception.person
    told = answer(text)
    if told is not None and told.agrees and told.band not in {None, person.age_band}:
        return Doorstep(reception, gate, voice).answer(told)  # the age that they gave before was a mistake
    band = _protected(person.age_band, screening)
    if band is not person.age_band and band is not None:
        consent.note_band(reception.session, person, band)
    if gate.turns_away(band):
        doorstep = Doorstep(replace(reception, person=replace(person, age_band=band)), gate, voice)
        return doorstep.turn_away() if screening.tier < Tier.ACTIVE else doorstep.meet(text, screening)
    attendance = attend(person.visit, band=AgeBand.MINOR if band in _UNDER_AGE else band, now=reception.now)
    is_safe = max(screening.tier, reception.danger_tier()) < Tier.ACTIVE if attendance.is_resting else False
    if is_safe and not reception.is_held_by_a_human():
        return reception.rest(gate.say("disclosure_rest"))
    cancelled = reception.begin_afresh() if attendance.is_return and band in _UNDER_AGE else []
    is_labelled = gate.is_labelling and is_label_due(person.visit, reception.now)
    receipt = reception.hear(
        text,
        screening,
        voice,
        preface=preface,
        due=[gate.say(key) for key in _due(attendance, told_age=band is not person.age_band)],
        label=gate.say("disclosure_label") if is_labelled else None,
    )
    _keep(reception, person.visit, attendance.visit, receipt, is_labelled=is_labelled)
    return replace(receipt, cancelled_turn_ids=[*cancelled, *receipt.cancelled_turn_ids])


def _protected(band: AgeBand | None, screening: Screening) -> AgeBand | None:
    """What somebody says of their age by the way can only protect them more."""
    if screening.age is None or screening.age >= ADULT:
        return band
    told = band_of(screening.age)
    return youngest([band, told])


def _due(attendance: Attendance, *, told_age: bool) -> list[str]:
    keys = ["disclosure_minor"] if told_age else []
    return [*keys, *([attendance.reminder] if attendance.reminder else [])]


def _keep(reception: Reception, before: Visit, visit: Visit, receipt: Receipt, *, is_labelled: bool) -> None:
    """Written only when something changed, which it seldom does."""
    if is_labelled and receipt.turn_id is not None:
        visit = replace(visit, labelled_at=reception.now)
    if receipt.cancelled_turn_ids:
        visit = replace(visit, labelled_at=None)
    if visit != before:
        visits.keep(reception.session, reception.person.id, visit)
