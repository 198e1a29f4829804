"""Words said before a consent: they wait, sealed, for a day, and are answered in order once their person agrees."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from bot.incoming import answers, danger, relay
from bot.incoming.situation import Situation
from care.screening import Screening, Tier, screen_safely
from dialogue.core import consent, intake
from dialogue.core.consent import HeldWords
from dialogue.core.quotations import own_words

Screened = tuple[HeldWords, Screening]


def hold(situation: Situation, text: str | None) -> tuple[Situation, UUID, UUID]:
    """Store a message in its conversation; returns both ids.

    Words of people who said no, or are too young, are not kept at all.
    """
    person = situation.person
    is_kept = text is not None and person.declined_at is None and not situation.rules.gate.turns_away(person.age_band)
    situation, conversation = situation.in_conversation()
    replaced = situation.replaces
    if is_kept and text is not None and replaced is not None and replaced.is_held:
        intake.replace_text(situation.session, person, replaced.message_id, text)
        is_kept = False
    message_id = answers.store(
        situation,
        text if is_kept else None,
        conversation_id=conversation.id,
        expires_at=situation.now + consent.HOLD if is_kept else None,
    )
    return situation, message_id, conversation.id


def screened(situation: Situation) -> list[Screened]:
    """What waits, oldest first, and the danger in it."""
    waiting = consent.held(situation.session, situation.person, now=situation.now)
    return [(words, screen_safely(own_words(words.text))) for words in waiting]


def release(situation: Situation, conversation_id: UUID, held: Sequence[Screened]) -> tuple[UUID | None, list[str]]:
    """The turn that now waits for the model, and what we say ourselves at once.

    Danger was answered when it was heard.
    """
    here = [(words, screening) for words, screening in held if words.conversation_id == conversation_id]
    _release_elsewhere(situation, [words for words, _ in held if words.conversation_id != conversation_id])
    message_ids = [words.message_id for words, _ in here]
    if situation.is_held_by_a_human:
        consent.keep(situation.session, message_ids)
        if here:
            relay.pass_on(situation, "\n".join(words.text for words, _ in here))
        return None, []
    if situation.course.tier is Tier.ACUTE:
        consent.keep(situation.session, message_ids)
        _, _, assessment = danger.assess(situation, screen_safely(""))
        return None, danger.all_words(assessment)
    if not here:
        return None, []
    return _to_the_model(situation, conversation_id, here), []


def _to_the_model(situation: Situation, conversation_id: UUID, held: Sequence[Screened]) -> UUID:
    afterwards: list[str] = []
    worst = max((screening for _, screening in held), key=lambda screening: screening.tier)
    if worst.tier is Tier.DISTRESS:
        _, _, assessment = danger.assess(situation, worst)
        afterwards = [script.text for script in assessment.scripts]
    return intake.release(
        situation.session,
        situation.person,
        conversation_id,
        [words.message_id for words, _ in held],
        postscript="\n\n".join(afterwards) or None,
        now=situation.now,
    )


def _release_elsewhere(situation: Situation, held: Sequence[HeldWords]) -> None:
    """Of the same person in other chats."""
    by_conversation: dict[UUID, list[UUID]] = defaultdict(list)
    for words in held:
        by_conversation[words.conversation_id].append(words.message_id)
    for conversation_id, message_ids in by_conversation.items():
        intake.release(situation.session, situation.person, conversation_id, message_ids, now=situation.now)
