"""What a person showed in a conversation, opened by staff who read it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from dialogue.admin import audit, listing
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.core import media
from dialogue.core.media import SeenMedium
from dialogue.errors import NoSuchConversation


def opened(session: Session, office: Office, conversation_id: UUID, medium_id: UUID) -> tuple[SeenMedium, bytes] | None:
    """What it is, and its content; None if that conversation has none of that id.

    To see it is part of reading the transcript, which was audited when it was opened. Raises `Erased`,
    `WrongSecretKey`, `Unreadable`.
    """
    seen = media.one(session, office.keys, medium_id)
    if seen is None or seen.conversation_id != conversation_id:
        return None
    content = media.content(session, office.keys, medium_id)
    return (seen, content) if content else None


def note_saved(session: Session, *, medium: SeenMedium, by: Actor, now: datetime) -> None:
    """It leaves us as a file. Raises `NoSuchConversation`."""
    conversation = listing.one(session, medium.conversation_id)
    if conversation is None:
        raise NoSuchConversation
    whom = Whom(person_id=conversation.person_id, conversation_id=conversation.id)
    audit.note(session, actor=by.name, action=Action.SAVE_MEDIUM, whom=whom, reason=None, now=now)
