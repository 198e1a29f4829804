"""What admins are told because of a person's command; never the person's words."""

from bot.incoming.situation import Situation
from dialogue.admin import alerts, find


def alert(situation: Situation, key: str) -> None:
    """The text names the conversation that is open, if one is, and the channel."""
    office, conversation = situation.rules.office, situation.conversation
    short_id = find.short_id(situation.session, conversation.id) if conversation else "–"
    words = office.texts.say(key, id=short_id, channel=situation.message.address.channel)
    conversation_id = conversation.id if conversation else None
    alerts.alert(situation.session, office, words, conversation_id=conversation_id, now=situation.now)
