"""Relays messages to the admin who took a conversation over."""

from bot.incoming import answers, danger
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Situation
from care.screening import Tier
from dialogue.admin import platform_takeover, takeover
from dialogue.admin.takeover import Held


def pass_on(situation: Situation, text: str, *, tier: int = 0) -> None:
    """Relay words to the admin's chat; one who answers in the console reads them there."""
    held = _held(situation)
    if held is not None and held.relay_to is not None:
        office = situation.rules.office
        takeover.relay(situation.session, office, held, text, to=held.relay_to, tier=tier, now=situation.now)


def may_show(situation: Situation) -> bool:
    """Of somebody who may be heard, to a human who answers them."""
    person = situation.person
    return situation.is_held_by_a_human and person.blocked_at is None and situation.rules.gate.is_open(person)


def show(situation: Situation) -> bool:
    """Show the admin what cannot be read, in their chat on the same platform; whether they can see it there."""
    held, message = _held(situation), situation.message
    if held is None or held.relay_to is None or message.shown_reference is None:
        return False
    to = held.relay_to
    if to.channel != message.address.channel or to.account not in {"", message.account}:
        return False
    takeover.show(situation.session, held, message.shown_reference, to=to, sent_at=message.sent_at, now=situation.now)
    return True


def _held(situation: Situation) -> Held | None:
    held = situation.conversation
    if held is None or held.holder is None:
        return None
    return Held(
        id=held.id,
        person_id=situation.person.id,
        address=situation.message.address,
        holder=held.holder,
        relay_to=held.relay_to,
        key=situation.person.key,
    )


def tell_of_the_end(situation: Situation) -> None:
    """The person is about to end the conversation: an admin who holds it hears of it."""
    held = situation.conversation
    if held is not None and held.holder is not None:
        takeover.end(situation.session, situation.rules.office, held.id, now=situation.now)


def answer(situation: Situation) -> Receipt:
    """A human answers: of our own words only those to danger that was told just now stand beside theirs."""
    screening, text = situation.words.screening, situation.words.text
    situation, conversation, assessment = danger.assess(situation, screening)
    if situation.platform_holder is not None:
        platform_takeover.note(situation.session, conversation.id, situation.platform_holder, now=situation.now)
    is_danger = screening.tier >= Tier.ACTIVE
    message_id = answers.store(situation, text, conversation_id=conversation.id)
    pass_on(situation, text, tier=int(assessment.course.tier) if is_danger else 0)
    words = danger.crisis_words(assessment) if is_danger else []
    return Receipt(
        conversation_id=conversation.id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation.id),
        risk=danger.risk(screening, assessment),
    )
