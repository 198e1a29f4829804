"""Signing in, unlocking and connecting an account through single sign-on (`console.single_sign_on`)."""

from datetime import timedelta

import structlog
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from console import identities, sessions, sign_in_throttle, signing_in
from console.gate import PageRoute
from console.identities import IdentityTaken
from console.page_request import BROWSER_COOKIE, OIDC_COOKIE, SESSION_COOKIE, PageRequest, Refused, local_path
from console.pages import signing
from console.sessions import OpenedBy, SignedIn
from console.signing_in import Attempt
from console.single_sign_on import (
    CALLBACK_PATH,
    LIFETIME,
    Denial,
    IdentityProvider,
    PendingSignIn,
    ProviderUnavailable,
    Purpose,
    SignInDenied,
    VerifiedIdentity,
)
from dialogue.states import Role
from dialogue.tables import Staff

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_STATUS = {Denial.STATE: 400, Denial.CANCELLED: 401, Denial.TOKEN: 401, Denial.STRANGER: 403}
_NO_AGE = timedelta(0)


def depart(visit: PageRequest) -> Response:
    """To the provider. By a link, because browsers do not let a form lead to another site (CSP form-action)."""
    _provider(visit)
    if visit.who is not None:
        return visit.go(local_path(visit.query("next")))
    purpose = Purpose.UNLOCK if visit.idle is not None else Purpose.SIGN_IN
    return _depart(visit, purpose, local_path(visit.query("next")))


def connect(visit: PageRequest) -> Response:
    """Connect one's own account: for providers that verify no addresses."""
    _provider(visit)
    return _depart(visit, Purpose.CONNECT, str(visit.staff.staff_id))


def arrive(visit: PageRequest) -> Response:
    """Back from the provider."""
    response = _arrived(visit, _provider(visit))
    name = visit.cookie_name(OIDC_COOKIE)
    response.delete_cookie(name, path="/", secure=visit.is_https, httponly=True, samesite="lax")
    return response


def leave(visit: PageRequest) -> Response:
    """Sign out of the provider too, after signing out here."""
    try:
        target = _provider(visit).end_session_url(back_to=f"{_base(visit)}/sign-in")
    except ProviderUnavailable:
        target = None
    return RedirectResponse(target or "/sign-in", status_code=303)


def _arrived(visit: PageRequest, provider: IdentityProvider) -> Response:
    try:
        pending = PendingSignIn.resume(
            visit.services.keys, visit.cookie(OIDC_COOKIE), state=visit.query("state"), now=visit.now
        )
    except SignInDenied as denied:
        return _denied(visit, denied.denial)
    counted = _limits(visit)
    with visit.services.database.begin() as session:
        until = sign_in_throttle.count(session, counted, now=visit.now)
    if until is not None:
        wait = {"until": until.astimezone(visit.zone).strftime("%H:%M")}
        return signing.form(visit, status=429, next=pending.target, error=("error_tries", wait))
    try:
        identity = _identity(visit, provider, pending)
    except SignInDenied as denied:
        return _denied(visit, denied.denial)
    except ProviderUnavailable as error:
        log.warning("single_sign_on_unavailable", error=type(error.__cause__ or error).__name__)
        return signing.form(visit, status=503, next=pending.target, error=("error_oidc_unavailable", {}))
    with visit.services.database.begin() as session:
        sign_in_throttle.forgive(session, counted)
    return (
        _connected(visit, pending, identity)
        if pending.purpose is Purpose.CONNECT
        else _signed_in(visit, pending, identity)
    )


def _identity(visit: PageRequest, provider: IdentityProvider, pending: PendingSignIn) -> VerifiedIdentity:
    code = visit.query("code")
    if visit.query("error") or not code:
        raise SignInDenied(Denial.CANCELLED)
    return provider.identity(pending, code, redirect_uri=_base(visit) + CALLBACK_PATH)


def _signed_in(visit: PageRequest, pending: PendingSignIn, identity: VerifiedIdentity) -> Response:
    with visit.services.database.begin() as session:
        member = identities.member(session, identity)
        if member is None and (member := identities.expected(session, identity)) and member.disabled_at is None:
            identities.connect(session, member.id, identity, actor=sessions.actor(member.name), now=visit.now)
        if member is None or member.disabled_at is not None:
            return _denied(visit, Denial.STRANGER, session=session, name=member.name if member else None)
        cookie = _unlocked(visit, pending, identity, member) or _opened(visit, session, identity, member)
    response = visit.go(pending.target)
    visit.set_cookie(response, SESSION_COOKIE, cookie)
    return response


def _opened(visit: PageRequest, session: Session, identity: VerifiedIdentity, member: Staff) -> str:
    """A new session; the provider's second factor counts if it may, and if it is not from an earlier sitting."""
    settings, lifetimes = visit.services.settings, visit.services.lifetimes
    at = identity.authenticated_at
    is_vouched = (
        settings.oidc_second_factor == "provider"
        and identity.has_two_factors
        and at is not None
        and visit.now - at <= lifetimes.idle
    )
    signing_in.note(
        session, action="staff_signed_in", actor=member.name, address=visit.address, now=visit.now, way=_WAY
    )
    return sessions.open_for(
        session,
        member.id,
        lifetimes,
        now=visit.now,
        verified_at=visit.now if is_vouched else None,
        opened_by=OpenedBy.VOUCHED if is_vouched else OpenedBy.PROVIDER,
    )


def _unlocked(visit: PageRequest, pending: PendingSignIn, identity: VerifiedIdentity, member: Staff) -> str | None:
    """The idle session goes on, and with it a draft, if the same member gave their password just now."""
    idle, at = visit.idle, identity.authenticated_at
    if pending.purpose is not Purpose.UNLOCK or idle is None or idle.staff_id != member.id or at is None:
        return None
    return idle.cookie(now=visit.now) if at >= pending.began_at - _CLOCKS_DIFFER else None


def _connected(visit: PageRequest, pending: PendingSignIn, identity: VerifiedIdentity) -> Response:
    who = _finished(visit)
    if pending.target != str(who.staff_id):  # somebody else has signed in here since
        return _denied(visit, Denial.STATE)
    with visit.services.database.begin() as session:
        member = identities.member(session, identity)
        if member is None or member.id != who.staff_id:
            try:
                identities.connect(session, who.staff_id, identity, actor=who.actor, now=visit.now)
            except IdentityTaken:
                raise Refused(409, "error_oidc_taken") from None
    return visit.go("/account", notice="saved")


def _finished(visit: PageRequest) -> SignedIn:
    if not visit.may(Role.VIEWER):
        raise Refused(401, "error_unfinished")
    return visit.staff


def _depart(visit: PageRequest, purpose: Purpose, target: str) -> Response:
    pending = PendingSignIn.begin(visit.services.keys, purpose=purpose, target=target, now=visit.now)
    try:
        url = _provider(visit).authorization_url(
            pending, redirect_uri=_base(visit) + CALLBACK_PATH, locale=visit.locale, max_age=_max_age(visit, purpose)
        )
    except ProviderUnavailable as error:
        log.warning("single_sign_on_unavailable", error=type(error.__cause__ or error).__name__)
        return signing.form(visit, status=503, next=target, error=("error_oidc_unavailable", {}))
    response: Response
    if purpose is Purpose.CONNECT:  # asked for by a form, which may not be redirected to another site
        response = visit.page("departing.html", url=url)
    else:
        response = RedirectResponse(url, status_code=303)
    visit.set_cookie(response, OIDC_COOKIE, pending.cookie, max_age=round(LIFETIME.total_seconds()))
    return response


def _max_age(visit: PageRequest, purpose: Purpose) -> timedelta | None:
    """Where the provider's word stands for ours, it is not to be from hours ago."""
    if purpose is Purpose.UNLOCK:
        return _NO_AGE
    return visit.services.lifetimes.idle if visit.services.settings.oidc_second_factor == "provider" else None


def _denied(visit: PageRequest, denial: Denial, *, session: Session | None = None, name: str | None = None) -> Response:
    log.warning("single_sign_on_denied", reason=denial, address=visit.address)
    if session is not None:
        _note_denial(session, visit, name)
    elif denial is not Denial.STATE:  # which anybody can bring about, without an account anywhere
        with visit.services.database.begin() as own:
            _note_denial(own, visit, name)
    return signing.form(visit, status=_STATUS[denial], next="/", error=(f"error_oidc_{denial}", {}))


def _note_denial(session: Session, visit: PageRequest, name: str | None) -> None:
    signing_in.note(session, action=signing_in.FAILED, actor=name, address=visit.address, now=visit.now, way=_WAY)


def _limits(visit: PageRequest) -> sign_in_throttle.Limits:
    with visit.services.database.read() as session:
        attempt = Attempt(address=visit.address, browser=visit.cookie(BROWSER_COOKIE))
        return signing_in.provider_limits(session, attempt, now=visit.now)


def _provider(visit: PageRequest) -> IdentityProvider:
    if visit.services.provider is None:
        raise Refused(404, "error_not_found")
    return visit.services.provider


def _base(visit: PageRequest) -> str:
    return visit.services.settings.console_url or str(visit.request.base_url).rstrip("/")


_WAY = "single sign-on"
_CLOCKS_DIFFER = timedelta(minutes=1)

PAGES = (
    PageRoute(path="/sign-in/oidc", method="GET", role=None, handler=depart, serves_idle=True, is_quiet=True),
    PageRoute(path=CALLBACK_PATH, method="GET", role=None, handler=arrive, serves_idle=True, is_quiet=True),
    PageRoute(path="/sign-in/oidc/leave", method="GET", role=None, handler=leave),
    PageRoute(path="/account/oidc", method="POST", role=Role.VIEWER, handler=connect),
)
