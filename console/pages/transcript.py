"""Transcripts, and replies by staff. A transcript is opened by POST because each read is audited."""

from hashlib import sha256
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from console.gate import PageRoute
from console.pages.actions import actor, office, perform
from console.visit import PageRequest, Refused, as_id
from dialogue.admin import listing, record, takeover
from dialogue.admin.cases import handling
from dialogue.admin.listing import Listed
from dialogue.admin.record import Utterance
from dialogue.states import Role
from dialogue.storage.ids import new_id
from dialogue.tables import DELIVERIES, MESSAGES

_MAX_LINES = 400


def read(visit: PageRequest) -> Response:
    """The transcript, decrypted for this response only."""
    conversation_id = visit.path_id()
    shown: list[tuple[Listed, list[Utterance], str]] = []

    def open_it(session: Session) -> None:
        lines = record.transcript(
            session, office(visit), conversation_id, by=actor(visit), max_lines=_MAX_LINES, now=visit.now
        )
        handling.see_conversation(session, conversation_id, by=actor(visit), now=visit.now)
        conversation = _known(session, conversation_id)
        shown.append((conversation, lines, _mark(session, conversation)))

    perform(visit, open_it)
    return _page(visit, *shown[0])


def say(visit: PageRequest) -> Response:
    """Send a human's reply, then show the transcript again. A form submitted twice sends once."""
    conversation_id, once = visit.path_id(), as_id(visit.form.get("once", ""))
    if once is None:
        raise Refused(422, "error_form")
    perform(
        visit,
        lambda session: takeover.say(
            session,
            office(visit),
            conversation_id,
            visit.form.get("text", ""),
            by=actor(visit),
            max_length=visit.services.settings.max_message_length,
            once=once,
            now=visit.now,
        ),
    )
    return read(visit)


def pulse(visit: PageRequest) -> Response:
    """A value that changes when something was said; contains no words and no ids."""
    with visit.services.database.read() as session:
        return JSONResponse({"mark": _mark(session, _known(session, visit.path_id()))})


def _page(visit: PageRequest, conversation: Listed, lines: list[Utterance], mark: str) -> Response:
    return visit.page(
        "transcript.html",
        conversation=conversation,
        lines=lines,
        mark=mark,
        once=new_id(),
        is_open=conversation.closed_at is None,
        is_mine=conversation.taken_over_by == visit.staff.actor,
        max_length=visit.services.settings.max_message_length,
    )


def _known(session: Session, conversation_id: UUID) -> Listed:
    conversation = listing.one(session, conversation_id)
    if conversation is None:
        raise Refused(404, "error_not_found")
    return conversation


def _mark(session: Session, conversation: Listed) -> str:
    heard = select(MESSAGES.c.id).where(
        MESSAGES.c.person_id == conversation.person_id, MESSAGES.c.conversation_id == conversation.id
    )
    owed = select(DELIVERIES.c.state, func.count()).where(DELIVERIES.c.conversation_id == conversation.id)
    newest = (
        session.scalar(heard.order_by(MESSAGES.c.id.desc()).limit(1)),
        sorted(map(str, session.execute(owed.group_by(DELIVERIES.c.state)))),
        conversation.standing,
    )
    return sha256(str(newest).encode()).hexdigest()[:16]


PAGES = (
    PageRoute(path="/conversations/{id}/transcript", method="POST", role=Role.COUNSELLOR, handler=read),
    PageRoute(path="/conversations/{id}/say", method="POST", role=Role.COUNSELLOR, handler=say),
    PageRoute(path="/conversations/{id}/pulse", method="GET", role=Role.COUNSELLOR, handler=pulse),
)
