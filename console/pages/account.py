"""The user's own account: password, language, time zone, other sessions."""

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from starlette.responses import Response

from console import accounts, identities, passwords, sessions
from console.gate import PageRoute
from console.page_request import SESSION_COOKIE, PageRequest
from console.passwords import WeakPassword
from console.words import LOCALES
from dialogue.states import Role


def own(visit: PageRequest) -> Response:
    return _page(visit)


def change_password(visit: PageRequest) -> Response:
    """Ends every session; this browser is signed in again."""
    if visit.form.get("password") != visit.form.get("again"):
        return _page(visit, status=422, error="error_again")
    with visit.services.database.read() as session:
        member = accounts.get(session, visit.staff.staff_id)
    if member is None or not passwords.fits(member.password_hash, visit.form.get("current", "")):
        return _page(visit, status=422, error="error_current")
    try:
        digest = passwords.digest(visit.form.get("password", ""), name=member.name)
    except WeakPassword:
        return _page(visit, status=422, error="error_weak")
    with visit.services.database.begin() as session:
        accounts.set_password(session, member.id, digest, actor=visit.staff.actor, now=visit.now)
        cookie = sessions.open_for(
            session,
            member.id,
            visit.services.lifetimes,
            now=visit.now,
            verified_at=visit.staff.verified_at,
            opened_by=visit.staff.opened_by,
        )
    response = visit.go("/account", notice="saved")
    visit.set_cookie(response, SESSION_COOKIE, cookie)
    return response


def prefer(visit: PageRequest) -> Response:
    locale, zone = visit.form.get("locale", ""), visit.form.get("time_zone", "").strip()
    if locale not in LOCALES or not _is_zone(zone):
        return _page(visit, status=422, error="error_zone")
    with visit.services.database.begin() as session:
        accounts.prefer(session, visit.staff.staff_id, locale=locale, time_zone=zone or None)
    return visit.go("/account", notice="saved")


def sign_others_out(visit: PageRequest) -> Response:
    with visit.services.database.begin() as session:
        sessions.end_others(session, visit.staff)
    return visit.go("/account", notice="others_out")


def _page(visit: PageRequest, *, status: int = 200, error: str | None = None) -> Response:
    provider = visit.services.provider
    with visit.services.database.read() as session:
        member = accounts.get(session, visit.staff.staff_id)
        is_connected = provider is not None and visit.staff.staff_id in identities.connected(session, provider.issuer)
    return visit.page(
        "account.html",
        status=status,
        has_password=member is not None and member.password_hash is not None,
        is_connected=is_connected,
        error=error,
        locales=LOCALES,
        zones=_zones(),
        own_zone=visit.staff.time_zone or "",
        default_zone=visit.services.settings.console_time_zone,
    )


@cache
def _zones() -> list[str]:
    """Read from the disk once."""
    return sorted(available_timezones())


def _is_zone(name: str) -> bool:
    """Empty means the console's default."""
    try:
        return not name or bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


PAGES = (
    PageRoute(path="/account", method="GET", role=Role.VIEWER, handler=own),
    PageRoute(path="/account/password", method="POST", role=Role.VIEWER, handler=change_password),
    PageRoute(path="/account/preferences", method="POST", role=Role.VIEWER, handler=prefer),
    PageRoute(path="/account/others", method="POST", role=Role.VIEWER, handler=sign_others_out),
)
