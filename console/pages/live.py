"""What keeps an open page alive: events for the duty desk, its table again, and the password after idling.

Nothing here renews a session: only a person's action does. Whoever idled sees how many wait, and no more.
"""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from console import sessions, signing_in
from console.board import Snapshot
from console.gate import PageRoute
from console.page_request import BROWSER_COOKIE, SESSION_COOKIE, PageRequest, Refused, local_path
from console.sessions import SignedIn
from console.signing_in import Attempt, TooManyTries, WrongPassword
from dialogue.admin.cases import open_cases
from dialogue.errors import DatabaseUnavailable
from dialogue.states import Role

_RETRY_MS = 2000
_AGAIN = "retry: 100\n\n"


def events(visit: PageRequest) -> Response:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): figures only."""
    return StreamingResponse(
        _stream(visit), media_type="text/event-stream", headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    )


def table(visit: PageRequest) -> Response:
    """The desk's table by itself."""
    with visit.services.database.read() as session:
        found = open_cases.open_cases(session)
    return visit.page(
        "duty_cases.html", cases=found, is_closed=False, shows_people=visit.may(Role.COUNSELLOR), me=visit.staff.actor
    )


def unlock(visit: PageRequest) -> Response:
    """After idling: the password, in the same session. A script is answered in JSON, so that a draft stays."""
    who = visit.who or visit.idle
    if who is None:
        raise Refused(401, "error_signed_out")
    wants_json = "application/json" in visit.request.headers.get("accept", "")
    try:
        signing_in.confirm(
            visit.services.database,
            name=who.name,
            password=visit.form.get("password", ""),
            attempt=Attempt(address=visit.address, browser=visit.cookie(BROWSER_COOKIE)),
            now=visit.now,
        )
    except (WrongPassword, TooManyTries) as refused:
        key = "error_current" if isinstance(refused, WrongPassword) else "error_tries_short"
        status = 401 if isinstance(refused, WrongPassword) else 429
        if wants_json:
            return JSONResponse({"error": visit.words.say(key)}, status_code=status)
        return locked(visit, error=key, status=status)
    response: Response = JSONResponse({}) if wants_json else visit.go(local_path(visit.form.get("next", "/duty")))
    visit.set_cookie(response, SESSION_COOKIE, who.cookie(now=visit.now))
    return response


def here(_visit: PageRequest) -> Response:
    """A person typed or clicked on a page that stays open: the gate extends their session."""
    return Response(status_code=204)


def locked(visit: PageRequest, *, error: str | None = None, status: int = 200) -> Response:
    """What is shown of the desk after idling."""
    with visit.services.database.read() as session:
        minutes = visit.services.settings.case_minutes
        unattended = open_cases.unattended(session, minutes=minutes, now=visit.now)
    return visit.page("locked.html", status=status, unattended=unattended, error=error, refresh="15; url=/duty?quiet=1")


async def _stream(visit: PageRequest) -> AsyncIterator[str]:
    yield f"retry: {_RETRY_MS}\n\n"
    async with aclosing(visit.services.board.follow()) as snapshots:
        async for snapshot in snapshots:
            who, is_idle = await run_in_threadpool(_standing, visit)
            if who is None:
                yield "event: gone\ndata: {}\n\n"
                return
            if is_idle and visit.who is not None:
                yield _AGAIN  # with the cookie of now: they may have been active in another window
                return
            told = _told(snapshot, who, is_idle=is_idle) | {"clock": f"{snapshot.at.astimezone(visit.zone):%H:%M:%S}"}
            yield f"data: {json.dumps(told)}\n\n"
            if not visit.request.headers.get("accept", "").startswith("text/event-stream"):
                return  # whoever does not ask for a stream gets one look


def _standing(visit: PageRequest) -> tuple[SignedIn | None, bool]:
    """Whether the session is still there, and whether its person has idled. Unknown without a database: as before."""
    services, cookie, now = visit.services, visit.cookie(SESSION_COOKIE), visit.services.clock()
    try:
        with services.database.read() as session:
            who = sessions.find(session, cookie, services.lifetimes, now=now)
            idle = None if who else sessions.find_idle(session, cookie, services.lifetimes, now=now)
    except DatabaseUnavailable:
        return visit.who or visit.idle, True
    return who or idle, who is None


def _told(snapshot: Snapshot, who: SignedIn, *, is_idle: bool) -> dict[str, object]:
    waiting = [case for case in snapshot.cases if case.waits_since is not None]
    return {
        "mark": snapshot.mark,
        "unattended": snapshot.unattended.count,
        "overdue": snapshot.unattended.overdue_count,
        "level": max((case.level for case in waiting), default=0),
        "alarms": sum(case.raise_count for case in waiting),
        "calls_me": any(who.actor in (case.called, case.taken_by) for case in waiting),
        "locked": is_idle,
        "blind": snapshot.is_blind,
    }


PAGES = (
    PageRoute(path="/duty/events", method="GET", role=Role.VIEWER, handler=events, serves_idle=True, is_quiet=True),
    PageRoute(path="/duty/cases", method="GET", role=Role.VIEWER, handler=table, is_quiet=True),
    PageRoute(path="/here", method="POST", role=Role.VIEWER, handler=here),
    PageRoute(path="/unlock", method="POST", role=Role.VIEWER, handler=unlock, serves_idle=True),
)
