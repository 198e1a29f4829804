"""Security headers of every response, and the host names the console answers to."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.settings import ConsoleSettings

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; media-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers send `Origin: null` with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Robots-Tag": "noindex, nofollow",
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
_YEAR_SECONDS = 365 * 24 * 3600


class Security:
    """Outermost middleware: covers error pages and static files too."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings) -> None:
        self._app = app
        self._hosts = host_names(settings)
        self._headers = _HEADERS | (
            {"Strict-Transport-Security": f"max-age={_YEAR_SECONDS}"} if settings.console_url else {}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)  # a response may have a stricter one of its own
                if not scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        if self._hosts is not None and _host_name(Headers(scope=scope).get("host", "")) not in self._hosts:
            await PlainTextResponse("unknown host\n", status_code=400)(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


def host_names(settings: ConsoleSettings) -> set[str] | None:
    """Accepted host names, against DNS rebinding; None for any."""
    if settings.console_url is not None:
        return _LOOPBACK | {_host_name(settings.console_url.removeprefix("https://"))}
    if settings.console_host in _ANY_ADDRESS:
        return None
    return _LOOPBACK | {settings.console_host.lower()}


def is_exposed(settings: ConsoleSettings) -> bool:
    """Whether passwords and transcripts could cross a network unencrypted."""
    return settings.console_url is None and settings.console_host not in _LOOPBACK


def _host_name(host: str) -> str:
    """Without the port; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
