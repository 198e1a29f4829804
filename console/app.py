"""The console as an ASGI application: its complete route table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.gate import PageRoute, endpoint, refuse
from console.page_request import Refused
from console.pages import (
    account,
    actions,
    audit,
    cases,
    complaints,
    conversations,
    deliveries,
    figures,
    hotlines,
    live,
    media,
    oidc,
    overview,
    people,
    second_factor,
    signing,
    staff,
    transcript,
)
from console.security import Security
from console.services import ConsoleServices

PAGES: tuple[PageRoute, ...] = (
    *signing.PAGES,
    *oidc.PAGES,
    *second_factor.PAGES,
    *overview.PAGES,
    *cases.PAGES,
    *live.PAGES,
    *figures.PAGES,
    *conversations.PAGES,
    *transcript.PAGES,
    *media.PAGES,
    *actions.PAGES,
    *deliveries.PAGES,
    *people.PAGES,
    *complaints.PAGES,
    *audit.PAGES,
    *hotlines.PAGES,
    *staff.PAGES,
    *account.PAGES,
)

_KEYS = {404: "error_not_found", 405: "error_method"}


def create_app(services: ConsoleServices) -> Starlette:
    """Build the application; the caller closes the services."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        services.gatherer.start()
        yield
        await run_in_threadpool(services.gatherer.stop)

    async def on_http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return await run_in_threadpool(refuse, services, request, Refused(status, _KEYS.get(status, "error_broken")))

    app = Starlette(
        routes=[
            *(_route(page, services) for page in PAGES),
            Mount("/static", StaticFiles(packages=[("console", "static")])),
        ],
        middleware=[Middleware(Security, settings=services.settings)],
        exception_handlers={HTTPException: on_http_error, Exception: on_http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would go to the host named in the request
    return app


def _route(page: PageRoute, services: ConsoleServices) -> Route:
    return Route(page.path, endpoint(page, services), methods=[page.method])
