"""One parsed request: user, language, time zone and form; and the responses to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from care.texts import Texts
from console.services import ConsoleServices
from console.sessions import SignedIn, Standing
from dialogue.states import Role

SESSION_COOKIE = "mindglm_session"
LOCALE_COOKIE = "mindglm_locale"
FORM_COOKIE = "mindglm_form"
BROWSER_COOKIE = "mindglm_browser"
OIDC_COOKIE = "mindglm_oidc"

QUIET = "quiet"
"""Query parameter of an auto-refresh, which does not extend the idle timeout."""


class Refused(Exception):
    """The request is refused; `key` names the text that says why."""

    def __init__(self, status: int, key: str) -> None:
        super().__init__(status, key)
        self.status = status
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What a page needs to answer."""

    services: ConsoleServices
    request: Request
    locale: str
    zone: ZoneInfo
    now: datetime
    who: SignedIn | None
    form: Mapping[str, str] = field(repr=False)
    idle: SignedIn | None = None
    """Who was signed in until the idle timeout; None unless the page serves them."""

    @property
    def staff(self) -> SignedIn:
        """The signed-in user, on pages that require one."""
        if self.who is None:
            raise Refused(401, "error_signed_out")
        return self.who

    @property
    def words(self) -> Texts:
        return self.services.words[self.locale]

    @property
    def channels(self) -> Mapping[str, str]:
        """Channel labels by name."""
        return self.services.channels[self.locale]

    @property
    def address(self) -> str:
        return self.request.client.host if self.request.client else "unknown"

    @property
    def is_https(self) -> bool:
        return self.services.settings.console_url is not None

    def query(self, name: str) -> str:
        return storable(self.request.query_params.get(name, "")).strip()

    def path_id(self, name: str = "id") -> UUID:
        """An id from the path; a malformed one is refused with 404, like an unknown one."""
        found = as_id(self.request.path_params[name])
        if found is None:
            raise Refused(404, "error_not_found")
        return found

    def may(self, role: Role) -> bool:
        return self.who is not None and self.who.standing is Standing.DONE and self.who.may(role)

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self.services.templates.render(template, self, values), status_code=status)

    def go(self, path: str, *, notice: str | None = None) -> Response:
        """Redirect to a page that shows `notice`."""
        joint = "&" if "?" in path else "?"
        query = f"{joint}{urlencode({'notice': notice})}" if notice else ""
        return RedirectResponse(quote(path, safe="/?=&") + query, status_code=303)

    def set_cookie(self, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        """HttpOnly, SameSite=Lax, and Secure if the console is served over https."""
        response.set_cookie(
            self.cookie_name(name),
            value,
            max_age=max_age,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.is_https,
        )

    def cookie(self, name: str) -> str | None:
        return self.request.cookies.get(self.cookie_name(name))

    def cookie_name(self, name: str) -> str:
        """`__Host-`: no other host of the same domain can set it."""
        return f"__Host-{name}" if self.is_https else name


def local_path(target: str) -> str:
    """Only a path of ours: prevents open redirects."""
    is_ours = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_ours else "/"


def storable(text: str) -> str:
    """Without NUL, which PostgreSQL rejects in text, even in a parameter."""
    return text.replace("\x00", "")


def as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
