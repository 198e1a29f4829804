"""Staff actions on conversations, people and deliveries: each form is one use case."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from console import accounts, sessions
from console.gate import PageRoute
from console.page_request import PageRequest, Refused, local_path
from dialogue.admin import assignment, platform_takeover, steering, takeover
from dialogue.admin.office import Actor, Office
from dialogue.errors import (
    AlreadyHeld,
    CaseClosed,
    CaseTaken,
    ConversationClosed,
    EmptyMessage,
    Erased,
    HeldByAnother,
    MessageTooLong,
    NoPlatformApp,
    NoSuchCase,
    NoSuchConversation,
    NoSuchDelivery,
    NoSuchPerson,
    NotFailed,
    NotTakenOver,
    ReasonTooLong,
)
from dialogue.states import Role

_UNKNOWN = (NoSuchCase, NoSuchConversation, NoSuchPerson, NoSuchDelivery)
_REFUSALS = (
    AlreadyHeld,
    CaseClosed,
    CaseTaken,
    ConversationClosed,
    EmptyMessage,
    Erased,
    HeldByAnother,
    MessageTooLong,
    NoPlatformApp,
    NotFailed,
    NotTakenOver,
    ReasonTooLong,
)


def perform(visit: PageRequest, use_case: Callable[[Session], None]) -> None:
    """Run it in one transaction; an error of the domain becomes an error page."""
    try:
        with visit.services.database.begin() as session:
            use_case(session)
    except _UNKNOWN:
        raise Refused(404, "error_not_found") from None
    except _REFUSALS as refusal:
        raise Refused(409, f"refused_{type(refusal).__name__}") from None


def actor(visit: PageRequest) -> Actor:
    """Take over without a chat: staff read and answer in the console."""
    return Actor(name=visit.staff.actor)


def office(visit: PageRequest) -> Office:
    return Office.of(visit.services.settings, visit.services.keys, visit.services.said_to_people)


def reason(visit: PageRequest) -> str | None:
    return visit.form.get("reason", "").strip() or None


def _about_conversation(name: str, use_case: "_UseCase") -> PageRoute:
    """The use cases of one conversation have one shape."""

    def handler(visit: PageRequest) -> Response:
        conversation_id = visit.path_id()
        perform(
            visit,
            lambda session: use_case(
                session, office(visit), conversation_id, by=actor(visit), reason=reason(visit), now=visit.now
            ),
        )
        return visit.go(f"/conversations/{conversation_id}", notice=name)

    return PageRoute(path=f"/conversations/{{id}}/{name}", method="POST", role=Role.COUNSELLOR, handler=handler)


def release(visit: PageRequest) -> Response:
    """The holder's own ends at once, and an admin's; a colleague's asks the holder first."""
    conversation_id = visit.path_id()
    ended: list[bool] = []

    def release_it(session: Session) -> None:
        if visit.may(Role.ADMIN):
            takeover.release(
                session, office(visit), conversation_id, by=actor(visit), reason=reason(visit), now=visit.now
            )
            ended.append(True)
            return
        ended.append(
            takeover.ask_release(
                session, office(visit), conversation_id, by=actor(visit), reason=reason(visit), now=visit.now
            )
        )

    perform(visit, release_it)
    return visit.go(f"/conversations/{conversation_id}", notice="release" if ended[0] else "release-asked")


def assign(visit: PageRequest) -> Response:
    """To a colleague, or (without a name) to nobody."""
    conversation_id, to = visit.path_id(), visit.form.get("to", "")

    def assign_it(session: Session) -> None:
        if to and to not in accounts.colleagues(session):
            raise Refused(422, "error_form")
        name = sessions.actor(to) if to else None
        assignment.assign(session, conversation_id, to=name, by=actor(visit), now=visit.now)

    perform(visit, assign_it)
    return visit.go(f"/conversations/{conversation_id}", notice="assign")


def block(visit: PageRequest) -> Response:
    person_id = visit.path_id()
    perform(
        visit,
        lambda session: steering.block(
            session, office(visit), person_id, by=actor(visit), reason=reason(visit), now=visit.now
        ),
    )
    return visit.go(f"/conversations?person={person_id}", notice="block")


def unblock(visit: PageRequest) -> Response:
    person_id = visit.path_id()
    perform(
        visit,
        lambda session: steering.unblock(session, person_id, by=actor(visit), reason=reason(visit), now=visit.now),
    )
    return visit.go(f"/conversations?person={person_id}", notice="unblock")


def resend(visit: PageRequest) -> Response:
    delivery_id = visit.path_id()
    perform(
        visit,
        lambda session: steering.resend(session, delivery_id, by=actor(visit), reason=reason(visit), now=visit.now),
    )
    return visit.go(local_path(visit.form.get("back", "/deliveries")), notice="resend")


class _UseCase(Protocol):
    def __call__(
        self,
        session: Session,
        office: Office,
        conversation_id: UUID,
        /,
        *,
        by: Actor,
        reason: str | None,
        now: datetime,
    ) -> None: ...


PAGES = (
    _about_conversation("reset", steering.reset),
    _about_conversation("close", steering.close),
    _about_conversation("take-over", takeover.take_over),
    _about_conversation("phone", platform_takeover.request),
    _about_conversation("keep", takeover.keep),
    PageRoute(path="/conversations/{id}/release", method="POST", role=Role.COUNSELLOR, handler=release),
    PageRoute(path="/conversations/{id}/assign", method="POST", role=Role.COUNSELLOR, handler=assign),
    PageRoute(path="/people/{id}/block", method="POST", role=Role.COUNSELLOR, handler=block),
    PageRoute(path="/people/{id}/unblock", method="POST", role=Role.COUNSELLOR, handler=unblock),
    PageRoute(path="/deliveries/{id}/resend", method="POST", role=Role.COUNSELLOR, handler=resend),
)
