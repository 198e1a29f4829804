"""Transcripts, and replies by staff. A transcript is opened by POST because each sitting is audited."""

import re
from hashlib import sha256
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from console import risk_chart, transcript_tokens
from console.gate import PageRoute
from console.page_request import PageRequest, Refused, as_id
from console.pages.actions import actor, office, perform, reason
from dialogue.admin import listing, person_facts, record, takeover
from dialogue.admin.cases import handling
from dialogue.admin.listing import Listed
from dialogue.admin.person_facts import PersonFacts
from dialogue.admin.record import TranscriptSpeaker, Utterance
from dialogue.core import content_types
from dialogue.states import Role
from dialogue.storage.ids import new_id
from dialogue.tables import DELIVERIES, MEDIA, MESSAGES

_MAX_LINES = 400
_CONFLICT = 409
_QUESTION = re.compile(r"[^。！？!?\n]*[？?]")


def read(visit: PageRequest) -> Response:
    """The transcript, decrypted for this response only."""
    return _page(visit)


def words(visit: PageRequest) -> Response:
    """What was said by now, for a page that is open: nothing else of it changes, least of all a draft."""
    if not _is_sitting(visit):
        raise Refused(403, "error_form")
    conversation, lines, mark = _read(visit)
    return visit.page(
        "talk.html",
        conversation=conversation,
        lines=lines,
        mark=mark,
        is_open=_is_open(conversation),
        sitting=visit.form.get("sitting", ""),
        element_of=content_types.element_of,
    )


def say(visit: PageRequest) -> Response:
    """Send a human's reply, then show the transcript again. A form submitted twice sends once.

    A refusal keeps what was written, on the page of the sitting.
    """
    conversation_id, once = visit.path_id(), as_id(visit.form.get("once", ""))
    if once is None:
        raise Refused(422, "error_form")
    draft = visit.form.get("text", "")
    try:
        perform(
            visit,
            lambda session: takeover.say(
                session,
                office(visit),
                conversation_id,
                draft,
                by=actor(visit),
                max_length=visit.services.settings.max_message_length,
                once=once,
                now=visit.now,
            ),
        )
    except Refused as refused:
        if refused.status != _CONFLICT or not _is_sitting(visit):
            raise
        return _page(visit, draft=draft, refusal=refused.key)
    return _page(visit)


def lay_out(visit: PageRequest) -> Response:
    """The whole conversation, to be printed or kept as PDF for a referral; a reason must be given."""
    conversation_id, why = visit.path_id(), reason(visit)
    if why is None:
        raise Refused(422, "error_reason")
    shown: list[tuple[Listed, list[Utterance], PersonFacts]] = []

    def open_it(session: Session) -> None:
        lines = record.laid_out(session, office(visit), conversation_id, by=actor(visit), reason=why, now=visit.now)
        conversation = _known(session, conversation_id)
        shown.append((conversation, lines, person_facts.facts(session, conversation.person_id)))

    perform(visit, open_it)
    conversation, lines, facts = shown[0]
    return visit.page("print.html", conversation=conversation, lines=lines, facts=facts, why=why)


def pulse(visit: PageRequest) -> Response:
    """A value that changes when something was said; contains no words and no ids."""
    if visit.who is None:
        return JSONResponse({"locked": True})
    with visit.services.database.read() as session:
        conversation = _known(session, visit.path_id())
        mark = _mark(session, conversation)
    asks = conversation.release_asked_by if conversation.taken_over_by == visit.staff.actor else None
    return JSONResponse({"mark": mark, "locked": False, "asks": asks})


def _read(visit: PageRequest) -> tuple[Listed, list[Utterance], str]:
    conversation_id = visit.path_id()
    use_case = record.read_on if _is_sitting(visit) else record.transcript
    shown: list[tuple[Listed, list[Utterance], str]] = []

    def open_it(session: Session) -> None:
        lines = use_case(session, office(visit), conversation_id, by=actor(visit), max_lines=_MAX_LINES, now=visit.now)
        handling.see_conversation(session, conversation_id, by=actor(visit), now=visit.now)
        conversation = _known(session, conversation_id)
        shown.append((conversation, lines, _mark(session, conversation)))

    perform(visit, open_it)
    return shown[0]


def _page(visit: PageRequest, *, draft: str = "", refusal: str | None = None) -> Response:
    conversation, lines, mark = _read(visit)
    token = visit.form.get("sitting", "")
    with visit.services.database.read() as session:
        facts = person_facts.facts(session, conversation.person_id)
    return visit.page(
        "transcript.html",
        status=_CONFLICT if refusal else 200,
        conversation=conversation,
        lines=lines,
        mark=mark,
        draft=draft,
        facts=facts,
        chart=risk_chart.draw(facts.risk, visit.zone, now=visit.now),
        last=_last_said(lines),
        refusal=refusal,
        sitting=token if _is_sitting(visit) else transcript_tokens.begin(visit.staff, conversation.id, now=visit.now),
        once=new_id(),
        is_open=_is_open(conversation),
        element_of=content_types.element_of,
        is_mine=conversation.taken_over_by == visit.staff.actor,
        max_length=visit.services.settings.max_message_length,
    )


def _last_said(lines: list[Utterance]) -> tuple[str, str]:
    """What the bot last said, and what it last asked."""
    said = [line.text for line in lines if line.speaker in (TranscriptSpeaker.MODEL, TranscriptSpeaker.BOT)]
    asked = next((found for text in reversed(said) if (found := _QUESTION.findall(text))), [""])
    return (said[-1] if said else "", asked[-1].strip())


def _is_sitting(visit: PageRequest) -> bool:
    return transcript_tokens.goes_on(visit.staff, visit.path_id(), visit.form.get("sitting", ""), now=visit.now)


def _is_open(conversation: Listed) -> bool:
    return conversation.closed_at is None


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
    settled = select(MEDIA.c.state, func.count()).where(MEDIA.c.conversation_id == conversation.id)
    newest = (
        session.scalar(heard.order_by(MESSAGES.c.id.desc()).limit(1)),
        sorted(map(str, session.execute(owed.group_by(DELIVERIES.c.state)))),
        sorted(map(str, session.execute(settled.group_by(MEDIA.c.state)))),
        conversation.standing,
    )
    return sha256(str(newest).encode()).hexdigest()[:16]


PAGES = (
    PageRoute(path="/conversations/{id}/transcript", method="POST", role=Role.COUNSELLOR, handler=read),
    PageRoute(path="/conversations/{id}/words", method="POST", role=Role.COUNSELLOR, handler=words, is_quiet=True),
    PageRoute(path="/conversations/{id}/print", method="POST", role=Role.COUNSELLOR, handler=lay_out),
    PageRoute(path="/conversations/{id}/say", method="POST", role=Role.COUNSELLOR, handler=say),
    PageRoute(
        path="/conversations/{id}/pulse",
        method="GET",
        role=Role.COUNSELLOR,
        handler=pulse,
        serves_idle=True,
        is_quiet=True,
    ),
)
