"""A colleague answers a person in the platform's own app: we may not speak there meanwhile, but we go on listening.

Unlike a takeover in our console (`dialogue.admin.takeover`), the platform says when it begins and ends, and nobody is
told by us: the person sees who writes.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from dialogue.admin import alerts, audit, find, takeover
from dialogue.admin.audit import Action
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover import Held
from dialogue.core import budgets, conversations
from dialogue.core.budgets import HeldText
from dialogue.errors import ConversationClosed, Erased, NoPlatformApp
from dialogue.messages import Address
from dialogue.tables import CONVERSATIONS

_TOO_LATE = timedelta(hours=1)
"""What the model would have said then is not said when it may speak again."""

_PLACE = select(CONVERSATIONS.c.channel, CONVERSATIONS.c.account, CONVERSATIONS.c.chat_id).where(
    CONVERSATIONS.c.id == bindparam("conversation_id")
)
_MARK = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(
        taken_over_by=bindparam("holder"),
        taken_over_at=bindparam("since"),
        relay_channel=None,
        relay_account=None,
        relay_chat_id=None,
    )
)
_NOTE = _MARK.where(CONVERSATIONS.c.taken_over_by.is_(None))
_UNMARK = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"), CONVERSATIONS.c.taken_over_by == bindparam("holder"))
    .values(taken_over_by=None, taken_over_at=None)
)


def begin(
    session: Session, office: Office, address: Address, *, holder: str, since: datetime, now: datetime
) -> list[HeldText]:
    """A colleague has the chat since then; returns what must wait for them. `holder` is a name for the audit."""
    held = _open(session, office, address)
    waiting = budgets.give_away(session, address, holder, since=since, now=now)
    if waiting is None:
        return []
    if held is not None:
        conversations.silence(session, held.id, now=now)
        takeover.end_takeover(session, office, held, by=None, now=now)
        session.execute(_MARK, {"conversation_id": held.id, "holder": holder, "since": now})
        audit.note(session, actor=holder, action=Action.TAKE_OVER, whom=held.whom, reason=None, now=now)
    return waiting


def is_possible(session: Session, conversation_id: UUID) -> bool:
    """Whether the platform has an app of its own in which a colleague may answer."""
    place = session.execute(_PLACE, {"conversation_id": conversation_id}).first()
    return place is not None and budgets.has_colleagues(session, Address.of(place))


def request(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """Ask for a colleague in the platform's own app; they get the chat as soon as our own words there are said.

    Raises `NoSuchConversation`, `ConversationClosed`, `NoPlatformApp`.
    """
    held = takeover.locked(session, office, conversation_id)
    if not budgets.has_colleagues(session, held.address):
        raise NoPlatformApp
    budgets.want_platform_human(session, held.address, now=now)
    audit.note(session, actor=by.name, action=Action.HAND_OVER, whom=held.whom, reason=reason, now=now)


def note(session: Session, conversation_id: UUID, holder: str, *, now: datetime) -> None:
    """A conversation was opened where a colleague has the chat; nothing if it is known to be held."""
    session.execute(_NOTE, {"conversation_id": conversation_id, "holder": holder, "since": now})


def end(session: Session, office: Office, address: Address, *, since: datetime, now: datetime) -> bool:
    """They have ended: after the person's next message we answer again. False if that is known."""
    held = _open(session, office, address)
    holder = budgets.give_back(session, address, since=since, owed_before=now - _TOO_LATE)
    if holder is None:
        return False
    if held is not None:
        session.execute(_UNMARK, {"conversation_id": held.id, "holder": holder})
        audit.note(session, actor=holder, action=Action.RELEASE, whom=held.whom, reason=None, now=now)
    return True


def nobody_came(session: Session, office: Office, address: Address, *, now: datetime) -> None:
    """No colleague could be given the chat: the admins are told, and none is looked for until there is cause again."""
    budgets.want_platform_human(session, address, now=None)
    conversation_id = conversations.find_open(session, address)
    short_id = find.short_id(session, conversation_id) if conversation_id is not None else "–"
    text = office.texts.say("alert_nobody_on_duty", id=short_id, channel=address.channel, at=office.clock_time(now))
    alerts.alert(session, office, text, conversation_id=conversation_id, now=now)


def _open(session: Session, office: Office, address: Address) -> Held | None:
    """The open conversation there; its person is locked, as intake does before it renews a budget."""
    conversation_id = conversations.find_open(session, address)
    if conversation_id is None:
        return None
    try:
        return takeover.locked(session, office, conversation_id)
    except (ConversationClosed, Erased):  # in the meantime
        return None
