"""Staff administration for admins: members, roles, links for choosing a password."""

from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session
from starlette.responses import Response

from console import accounts, identities, second_factor, sessions, signing_in
from console.accounts import BadName, LastAdmin, NameTaken
from console.gate import PageRoute
from console.identities import BadEmail
from console.page_request import PageRequest, Refused
from console.pages import actions
from console.words import LOCALES
from dialogue.admin.cases import handling
from dialogue.states import Role
from dialogue.tables import Staff

_MAX_REASON_LENGTH = 180
"""The audit keeps 255 characters, of which the name takes up to 64."""


def everyone(visit: PageRequest) -> Response:
    return _page(visit)


def add(visit: PageRequest) -> Response:
    """Add a member; shows, once, the link for choosing their password."""
    email, actor = visit.form.get("email", ""), visit.staff.actor
    try:
        with visit.services.database.begin() as session:
            staff_id = accounts.add(
                session,
                name=visit.form.get("name", ""),
                role=_role(visit),
                locale=_locale(visit),
                actor=actor,
                now=visit.now,
            )
            if email:
                identities.set_email(session, staff_id, email, actor=actor, now=visit.now)
            token = accounts.make_link(session, staff_id, actor=actor, now=visit.now)
            member = accounts.get(session, staff_id)
    except BadName:
        return _page(visit, status=422, error="error_name")
    except BadEmail:
        return _page(visit, status=422, error="error_email")
    except NameTaken:
        return _page(visit, status=422, error="error_name_taken")
    return _page(visit, link=link_url(visit, token), linked=member)


def renew_link(visit: PageRequest) -> Response:
    """A new link for a lost password or link; the old password stays valid until a new one is chosen."""
    with visit.services.database.begin() as session:
        member = accounts.get(session, visit.path_id())
        if member is None or member.disabled_at is not None:
            raise Refused(404, "error_not_found")
        token = accounts.make_link(session, member.id, actor=visit.staff.actor, now=visit.now)
        signing_in.forgive(session, member.name)
    return _page(visit, link=link_url(visit, token), linked=member)


def set_role(visit: PageRequest) -> Response:
    return _change(visit, partial(accounts.set_role, role=_role(visit)))


def disable(visit: PageRequest) -> Response:
    """Whoever cannot come any more attends to nobody: their cases wait for somebody else."""

    def disable_them(session: Session, staff_id: UUID, /, *, actor: str, now: datetime) -> None:
        accounts.disable(session, staff_id, actor=actor, now=now)
        member = accounts.get(session, staff_id)
        if member is not None:
            handling.give_back_all(
                session, actions.office(visit), holder=sessions.actor(member.name), by=actions.actor(visit), now=now
            )

    return _change(visit, disable_them)


def enable(visit: PageRequest) -> Response:
    return _change(visit, accounts.enable)


def reset_second_factor(visit: PageRequest) -> Response:
    """For somebody who lost their device; the reason is kept in the audit."""
    reason = visit.form.get("reason", "").strip()
    if not reason or len(reason) > _MAX_REASON_LENGTH:
        return _page(visit, status=422, error="error_reason")
    return _change(visit, partial(second_factor.reset, reason=reason))


def set_email(visit: PageRequest) -> Response:
    """The address by which single sign-on finds them the first time."""
    try:
        return _change(visit, partial(identities.set_email, address=visit.form.get("email", "")))
    except BadEmail:
        return _page(visit, status=422, error="error_email")


def disconnect(visit: PageRequest) -> Response:
    return _change(visit, identities.disconnect)


def link_url(visit: PageRequest, token: str) -> str:
    base = visit.services.settings.console_url or str(visit.request.base_url).rstrip("/")
    return f"{base}/welcome/{token}"


def _page(
    visit: PageRequest,
    *,
    status: int = 200,
    error: str | None = None,
    link: str | None = None,
    linked: Staff | None = None,
) -> Response:
    with visit.services.database.read() as session:
        members = accounts.everyone(session)
        provider = visit.services.provider
        connected = identities.connected(session, provider.issuer) if provider else set()
    return visit.page(
        "staff.html",
        status=status,
        members=members,
        connected=connected,
        error=error,
        link=link,
        linked=linked,
        hours=round(accounts.LINK_LIFETIME.total_seconds() / 3600),
        roles=list(Role),
        locales=LOCALES,
    )


class _Change(Protocol):
    """A change to a member from `accounts`."""

    def __call__(self, session: Session, staff_id: UUID, /, *, actor: str, now: datetime) -> None: ...


def _change(visit: PageRequest, change: _Change) -> Response:
    try:
        with visit.services.database.begin() as session:
            member = accounts.get(session, visit.path_id())
            if member is None:
                raise Refused(404, "error_not_found")
            change(session, member.id, actor=visit.staff.actor, now=visit.now)
    except LastAdmin:
        return _page(visit, status=409, error="error_last_admin")
    return visit.go("/staff", notice="saved")


def _role(visit: PageRequest) -> Role:
    try:
        return Role(visit.form.get("role", ""))
    except ValueError:
        raise Refused(422, "error_form") from None


def _locale(visit: PageRequest) -> str:
    wanted = visit.form.get("locale", "")
    return wanted if wanted in LOCALES else visit.locale


PAGES = (
    PageRoute(path="/staff", method="GET", role=Role.ADMIN, handler=everyone),
    PageRoute(path="/staff", method="POST", role=Role.ADMIN, handler=add),
    PageRoute(path="/staff/{id}/link", method="POST", role=Role.ADMIN, handler=renew_link),
    PageRoute(path="/staff/{id}/role", method="POST", role=Role.ADMIN, handler=set_role),
    PageRoute(path="/staff/{id}/second-factor", method="POST", role=Role.ADMIN, handler=reset_second_factor),
    PageRoute(path="/staff/{id}/email", method="POST", role=Role.ADMIN, handler=set_email),
    PageRoute(path="/staff/{id}/disconnect", method="POST", role=Role.ADMIN, handler=disconnect),
    PageRoute(path="/staff/{id}/disable", method="POST", role=Role.ADMIN, handler=disable),
    PageRoute(path="/staff/{id}/enable", method="POST", role=Role.ADMIN, handler=enable),
)
