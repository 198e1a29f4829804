"""Who of the staff looks after a conversation while the model answers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor
from dialogue.errors import NoSuchConversation
from dialogue.tables import CONVERSATIONS


def assign(session: Session, conversation_id: UUID, *, to: str | None, by: Actor, now: datetime) -> None:
    """`to` is a member's name in the audit; None: nobody's any more. Raises `NoSuchConversation`."""
    changed = session.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id)
        .values(assigned_to=to)
        .returning(CONVERSATIONS.c.person_id)
    ).first()
    if changed is None:
        raise NoSuchConversation
    whom = Whom(person_id=changed.person_id, conversation_id=conversation_id)
    audit.note(session, actor=by.name, action=Action.ASSIGN, whom=whom, reason=f"to {to or '–'}", now=now)
