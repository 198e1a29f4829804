"""The notice, or a shorter question, to somebody who has not agreed: their words wait, or are not kept."""

from collections.abc import Sequence
from datetime import timedelta

from bot.incoming import answers, held_words
from bot.incoming.answers import Said
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Situation
from care.disclosure import sounds_like_yes
from dialogue.core import consent
from dialogue.states import DeliveryKind

_PATIENCE = timedelta(seconds=60)
"""Somebody who goes on writing is not asked again after every sentence."""


def ask(situation: Situation, text: str | None, *, before: Sequence[Said] = (), is_greeting: bool = False) -> Receipt:
    """Hold the words, and ask; `before` is said in any case. `is_greeting` shows the whole notice in any case."""
    situation, message_id, conversation_id = held_words.hold(situation, text)
    if situation.platform_holder is not None:  # a colleague speaks there, and we may not
        return Receipt(conversation_id=conversation_id)
    question = _question(situation, text, is_greeting=is_greeting)
    words = [*before, *([] if question is None else [_asked(situation, question)])]
    return Receipt(
        conversation_id=conversation_id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation_id),
    )


def _asked(situation: Situation, question: str) -> Said:
    gate, person = situation.rules.gate, situation.person
    shown = gate.notice.version if gate.notice.text in question else person.asked_version
    consent.ask(situation.session, person, version=shown, now=situation.now)
    is_turned_away = gate.turns_away(person.age_band)
    return question, DeliveryKind.NOTICE if is_turned_away else DeliveryKind.CONSENT


def _question(situation: Situation, text: str | None, *, is_greeting: bool) -> str | None:
    """What is asked now, if anything is."""
    gate, person = situation.rules.gate, situation.person
    if is_greeting and not gate.turns_away(person.age_band):
        return gate.notice.text
    was_asked = gate.was_shown_here(person) or person.declined_at is not None
    since = situation.now - person.asked_at if was_asked and person.asked_at is not None else consent.HOLD
    if since < _PATIENCE and text is not None and not sounds_like_yes(text):
        return None
    return _next_question(situation, since)


def _next_question(situation: Situation, since: timedelta) -> str:
    """`since` is how long ago they were asked last."""
    gate, person = situation.rules.gate, situation.person
    if gate.turns_away(person.age_band):
        return gate.say("disclosure_too_young")
    if person.declined_at is not None:
        return gate.say("disclosure_declined_before")
    if gate.was_shown_here(person) and since < consent.HOLD:
        return gate.say("disclosure_ask_again")
    if person.consent_version is not None:
        return f"{gate.say('disclosure_changed')}\n\n{gate.notice.text}"
    return gate.notice.text
