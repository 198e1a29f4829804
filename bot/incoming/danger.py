"""Words of somebody who may be in danger: taken into the conversation's course, told to admins, answered by us."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from bot.incoming import answers
from bot.incoming.answers import Said
from bot.incoming.receipt import Receipt, Risk
from bot.incoming.situation import Situation
from care import course, scripts
from care.course import Assessment
from care.screening import Screening, Tier
from care.scripts import Says, is_contact
from dialogue.admin import alerts
from dialogue.core import budgets, conversations, danger_course
from dialogue.core.conversations import OpenConversation
from dialogue.rights import emergency_contacts
from dialogue.states import DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def assess(situation: Situation, screening: Screening) -> tuple[Situation, OpenConversation, Assessment]:
    """Take a screened message into the course of its conversation, which is opened if need be.

    The course is kept, admins are told if they must be (`raises_alarm`: they were told something new).
    """
    situation, conversation = situation.in_conversation()
    before = situation.course
    band = situation.person.age_band
    assessment = course.assess(before, screening, situation.now, situation.rules.voice, band=band)
    if any(map(is_contact, assessment.scripts)) and _is_no_contact_wanted(situation):
        assessment = course.without_contact(assessment, situation.rules.voice)
    if assessment.course.tier or before.tier or assessment.scripts:
        danger_course.keep(situation.session, situation.person, conversation.id, assessment.course)
    if assessment.raises_alarm:
        assessment = replace(assessment, raises_alarm=_alarm(situation, conversation, assessment))
    if screening.tier >= Tier.ACUTE and situation.message.can_hand_over and situation.platform_holder is None:
        budgets.want_platform_human(situation.session, situation.message.address, now=situation.now)
    if screening.tier or screening.failures:
        log.warning(
            "risk_screened",
            conversation_id=str(conversation.id),
            tier=int(screening.tier),
            raises_alarm=assessment.raises_alarm,
            failures=screening.failures,
        )
    return replace(situation, course=assessment.course, assessment=assessment), conversation, assessment


def crisis_words(assessment: Assessment) -> list[Said]:
    """What we say ourselves at once."""
    return [(script.text, DeliveryKind.CRISIS) for script in assessment.scripts if script.says is not Says.AFTER]


def all_words(assessment: Assessment) -> list[str]:
    """The same where no reply of the model's follows, behind which something could stand."""
    return [script.text for script in assessment.scripts]


def next_words(situation: Situation) -> list[str]:
    """The next step of the course, for words that told nothing; kept as said."""
    moved, script = course.go_on(situation.course, situation.now, situation.rules.voice)
    if script is None or situation.conversation is None:
        return []
    danger_course.keep(situation.session, situation.person, situation.conversation.id, moved)
    return [script.text]


def risk(screening: Screening, assessment: Assessment) -> Risk:
    """For the counts of what was found."""
    return Risk(tier=int(screening.tier), alarm_tier=int(assessment.course.tier) if assessment.raises_alarm else None)


def answer_without_the_model(
    situation: Situation,
    screening: Screening,
    conversation: OpenConversation,
    assessment: Assessment,
    words: Sequence[Said],
    *,
    text: str,
) -> Receipt:
    """Our words are all that is said: what the model was about to say to earlier ones is taken back."""
    cancelled = conversations.silence(situation.session, conversation.id, now=situation.now)
    message_id = answers.store(situation, text, conversation_id=conversation.id)
    return Receipt(
        conversation_id=conversation.id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation.id),
        cancelled_turn_ids=cancelled,
        risk=risk(screening, assessment),
    )


def answer_what_is_refused(situation: Situation, screening: Screening, *, explanation: str | None) -> Receipt:
    """Danger in what is refused is answered all the same; of its text nothing is kept."""
    situation, conversation, assessment = assess(situation, screening)
    texts = all_words(assessment) + ([explanation] if explanation is not None else [])
    words = [(text, DeliveryKind.CRISIS) for text in texts]
    return answer_without_the_model(situation, screening, conversation, assessment, words, text="")


def _is_no_contact_wanted(situation: Situation) -> bool:
    """They named one before, or others read along."""
    named = emergency_contacts.shown(situation.session, situation.person)
    return named is not None or not situation.message.is_private


def where_to_turn(situation: Situation) -> str | None:
    """Nobody in danger goes away without a number."""
    if situation.course.tier < Tier.ACTIVE:
        return None
    script = scripts.named(scripts.EXIT, tier=Tier.ACTIVE, said=(), voice=situation.rules.voice)
    return script.text if script else None


def _alarm(situation: Situation, conversation: OpenConversation, assessment: Assessment) -> bool:
    """Whether this was news."""
    return alerts.alarm(
        situation.session,
        situation.rules.office,
        conversation.id,
        tier=int(assessment.course.tier),
        is_urgent=assessment.is_urgent,
        now=situation.now,
    )
