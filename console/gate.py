"""Every page goes through here: session, role and CSRF token are checked, the page runs, the cookie is renewed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import parse_qsl, quote
from zoneinfo import ZoneInfo

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import csrf, sessions, words
from console.page_request import LOCALE_COOKIE, QUIET, SESSION_COOKIE, PageRequest, Refused, storable
from console.services import ConsoleServices
from console.sessions import Standing
from dialogue.errors import DatabaseUnavailable
from dialogue.states import Role

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_FORM_BYTES = 64 * 1024
_MAX_FORM_FIELDS = 50
_FORM_TYPE = "application/x-www-form-urlencoded"

Handler = Callable[[PageRequest], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRoute:
    """A path, a method and the role it requires; None: no sign-in required.

    `serves_idle`: also after the idle timeout, while the session lasts; such a handler looks at `idle`. `is_quiet`: it
    is asked by a script, and extends no session.
    `during`: how far somebody may have got with signing in and use it, besides having finished.
    """

    path: str
    method: Literal["GET", "POST"]
    role: Role | None
    handler: Handler
    serves_idle: bool = False
    is_quiet: bool = False
    during: frozenset[Standing] = frozenset()


def endpoint(page: PageRoute, services: ConsoleServices) -> Callable[[Request], Awaitable[Response]]:
    """What the router calls. Pages are ordinary functions; each runs in a thread."""

    async def answer(request: Request) -> Response:
        try:
            form = await _read_form(request) if page.method == "POST" else {}
        except Refused as refused:
            return await run_in_threadpool(refuse, services, request, refused)
        return await run_in_threadpool(_answer, page, services, request, form)

    return answer


def refuse(services: ConsoleServices, request: Request, refused: Refused) -> Response:
    """An error page, rendered without the database."""
    return _error(_nobodys_visit(services, request), refused)


def _answer(page: PageRoute, services: ConsoleServices, request: Request, form: Mapping[str, str]) -> Response:
    visit = _nobodys_visit(services, request)
    visit = replace(visit, form=form)
    try:
        visit = _recognised(page, visit)
        _admit(page, visit)
        response = page.handler(visit)
    except Refused as refused:
        if refused.status == 401 and page.method == "GET":  # noqa: PLR2004 - not signed in, or not completely
            return _to_sign_in(request, visit)
        response = _error(visit, refused)
    except DatabaseUnavailable as error:
        log.warning("database_unavailable", error=type(error.__cause__).__name__)
        return _error(visit, Refused(503, "error_database"))
    if not page.is_quiet:
        _renew(visit, response)
    return response


def _nobodys_visit(services: ConsoleServices, request: Request) -> PageRequest:
    chosen = request.query_params.get("lang") or request.cookies.get(LOCALE_COOKIE)
    locale = chosen if chosen in words.LOCALES else words.preferred(request.headers.get("accept-language", ""))
    zone = ZoneInfo(services.settings.console_time_zone)
    return PageRequest(
        services=services, request=request, locale=locale, zone=zone, now=services.clock(), who=None, form={}
    )


def _recognised(page: PageRoute, visit: PageRequest) -> PageRequest:
    cookie, lifetimes = visit.cookie(SESSION_COOKIE), visit.services.lifetimes
    with visit.services.database.read() as session:
        who = sessions.find(session, cookie, lifetimes, now=visit.now)
        if who is None and page.serves_idle:
            idle = sessions.find_idle(session, cookie, lifetimes, now=visit.now)
            return replace(visit, idle=idle, locale=idle.locale if idle else visit.locale)
    if who is None:
        return visit
    zone = ZoneInfo(who.time_zone) if who.time_zone else visit.zone
    return replace(visit, who=who, locale=who.locale, zone=zone)


def _admit(page: PageRoute, visit: PageRequest) -> None:
    if page.role is not None:
        known = visit.who or visit.idle
        if known is None:
            raise Refused(401, "error_signed_out")
        standing = known.standing
        if standing is not Standing.DONE and standing not in page.during:
            raise Refused(401, "error_unfinished")
        if not known.may(page.role):
            raise Refused(403, "error_forbidden")
    if page.method == "POST" and not csrf.is_valid(visit):
        raise Refused(403, "error_form")


def _renew(visit: PageRequest, response: Response) -> None:
    """Extend the idle timeout, except after an auto-refresh, a sign-in or a sign-out."""
    if visit.who is None or QUIET in visit.request.query_params or "set-cookie" in response.headers:
        return
    visit.set_cookie(response, SESSION_COOKIE, visit.who.cookie(now=visit.now))


_UNFINISHED = {Standing.ENROL: "/second-factor", Standing.VERIFY: "/sign-in/second"}


def _to_sign_in(request: Request, visit: PageRequest) -> Response:
    """A page that refreshed itself goes to the duty desk, which goes on showing how many wait."""
    path = request.url.path
    if visit.who is None and QUIET in request.query_params and path != "/duty":
        return RedirectResponse("/duty", status_code=303)
    target = _UNFINISHED[visit.who.standing] if visit.who else "/sign-in"
    return RedirectResponse(target if path == "/" else f"{target}?next={quote(path)}", status_code=303)


def _error(visit: PageRequest, refused: Refused) -> Response:
    return visit.page("error.html", status=refused.status, key=refused.key, number=refused.status)


async def _read_form(request: Request) -> Mapping[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM_TYPE:
        raise Refused(415, "error_form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise Refused(413, "error_too_large")
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS)
    except ValueError:
        raise Refused(400, "error_form") from None
    return {name: storable(value) for name, value in fields}
