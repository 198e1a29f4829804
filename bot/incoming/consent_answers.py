"""What an answer to the notice leads to: they agree, they decline, or they tell their age."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from bot.incoming import answers, consent_question, danger, held_words, relay
from bot.incoming.answers import Said
from bot.incoming.receipt import ConsentOutcome, Receipt
from bot.incoming.situation import UNDER_AGE, Situation
from care.age import AgeBand, band_of, youngest
from care.disclosure import Answer
from dialogue.core import consent, conversations
from dialogue.states import ClosedBy, DeliveryKind


def obey(situation: Situation, answer: Answer) -> Receipt:
    """Yes, no, or an age; a yes to a notice that they have not seen is answered by the notice."""
    gate, person = situation.rules.gate, situation.person
    if answer.agrees is False:
        return _decline(situation)
    if gate.turns_away(answer.band or person.age_band):
        return turn_away(situation)
    if answer.agrees and (gate.was_shown_to(person) or not gate.is_required):
        return _let_in(situation, answer.band)
    if answer.band is not None:
        consent.note_band(situation.session, person, answer.band)
    return replace(consent_question.ask(situation, None), consent=ConsentOutcome.ASKED)


def turn_away(situation: Situation) -> Receipt:
    """They are too young: where to find help, and nothing is kept."""
    was_open = situation.rules.gate.is_open(situation.person)
    consent.note_band(situation.session, situation.person, AgeBand.CHILD)
    consent.forget_held(situation.session, situation.person)
    return _close(situation, "disclosure_too_young", ConsentOutcome.TOO_YOUNG, was_open=was_open)


def _decline(situation: Situation) -> Receipt:
    was_open = situation.rules.gate.is_open(situation.person)
    consent.decline(situation.session, situation.person, now=situation.now)
    return _close(situation, "disclosure_declined", ConsentOutcome.DECLINED, was_open=was_open)


def _close(situation: Situation, key: str, outcome: ConsentOutcome, *, was_open: bool) -> Receipt:
    """Who had agreed before is in conversations, and these end."""
    if not was_open:
        return _reply(situation, key, outcome)
    before = danger.where_to_turn(situation)
    relay.tell_of_the_end(situation)
    cancelled = conversations.reset_all(situation.session, situation.person, by=ClosedBy.PERSON, now=situation.now)
    said = [(text, DeliveryKind.CRISIS) for text in (before, situation.rules.gate.say(key)) if text is not None]
    said_id = answers.say(situation, answers.store(situation, None), said)
    return Receipt(cancelled_turn_ids=cancelled, consent=outcome, answered_at_once=said_id)


def _let_in(situation: Situation, told: AgeBand | None) -> Receipt:
    """They agreed: what they said before is answered now, in order."""
    gate, person = situation.rules.gate, situation.person
    held = held_words.screened(situation)
    ages = [screening.age for _, screening in held if screening.age is not None]
    band = told or youngest([person.age_band, *map(band_of, ages)])
    if gate.turns_away(band):
        return turn_away(situation)
    version = gate.notice.version
    consent.agree(situation.session, person, version=version, band=band or AgeBand.ADULT, now=situation.now)
    situation, message_id, conversation_id = held_words.hold(situation, None)
    turn_id, scripts = held_words.release(situation, conversation_id, held)
    said = [gate.say("disclosure_agreed_held" if turn_id else "disclosure_agreed")]
    if band in UNDER_AGE:
        said.append(gate.say("disclosure_minor"))
    kind = DeliveryKind.CRISIS if scripts else DeliveryKind.NOTICE  # of one kind, or the scripts would go first
    receipt = _say(situation, message_id, conversation_id, [(words, kind) for words in [*said, *scripts]])
    return replace(receipt, turn_id=turn_id, consent=ConsentOutcome.AGREED)


def _reply(situation: Situation, key: str, outcome: ConsentOutcome) -> Receipt:
    situation, message_id, conversation_id = held_words.hold(situation, None)
    words = [(situation.rules.gate.say(key), DeliveryKind.NOTICE)]
    return replace(_say(situation, message_id, conversation_id, words), consent=outcome)


def _say(situation: Situation, message_id: UUID, conversation_id: UUID, words: Sequence[Said]) -> Receipt:
    return Receipt(
        conversation_id=conversation_id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation_id),
    )
