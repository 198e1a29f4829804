"""Relays messages to the admin who took a conversation over."""

from enum import Enum, auto

from bot.incoming import answers, danger
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Situation
from care.screening import Tier
from dialogue.admin import platform_takeover, takeover
from dialogue.admin.takeover import Held
from dialogue.core import media, medium_words
from dialogue.messages import MediumOffer
from dialogue.states import MediumKind, MediumLoss

_NO_FILE = MediumOffer(kind=MediumKind.FILE, reference="")


class Sight(Enum):
    """What a human who holds a conversation sees of something that is no text."""

    NONE = auto()
    COPIED = auto()  # the platform shows it in their chat
    FETCHED = auto()  # the channel gets it, for the console and for other platforms


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


def show(situation: Situation) -> Sight:
    """Show the admin what cannot be read: in their chat on the same platform, else once it was fetched."""
    held, message = _held(situation), situation.message
    if held is None:
        return Sight.NONE
    to = held.relay_to
    is_there = to is not None and to.channel == message.address.channel and to.account in {"", message.account}
    if to is None or not is_there or message.shown_reference is None:
        return _fetch(situation, held)
    takeover.show(
        situation.session,
        held,
        message.shown_reference,
        to=to,
        mark=" ".join(offer.mark for offer in message.media),
        sent_at=message.sent_at,
        now=situation.now,
    )
    return Sight.COPIED


def _fetch(situation: Situation, held: Held) -> Sight:
    """Who holds it hears at once of what cannot be fetched; of the rest when it is here."""
    rules, sight = situation.rules, Sight.NONE
    for offer in situation.message.media or (_NO_FILE,):
        wanted = media.want(
            situation.session,
            situation.person,
            held.id,
            situation.message,
            offer,
            max_bytes=rules.max_medium_bytes,
            now=situation.now,
        )
        if wanted is not None and wanted.loss is not None:
            pass_on(situation, medium_words.in_brackets(wanted, rules.office.texts))
        if wanted is None or wanted.loss is None or (wanted.name and wanted.loss is MediumLoss.NO_FILE):
            sight = Sight.FETCHED  # or its name says it all, as that of a place does
    return sight


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
