"""CSRF protection: a POST must come from a form of ours, with the token of the session or of the form's cookie."""

import hmac
import secrets
from urllib.parse import urlsplit

from console.page_request import FORM_COOKIE, PageRequest


def is_valid(visit: PageRequest) -> bool:
    """Checks the browser's origin headers, then the token: the session's, or the cookie's before signing in."""
    headers = visit.request.headers
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is not None and _host_of(origin) != headers.get("host"):
        return False
    known = visit.who or visit.idle
    expected = known.form_token() if known else visit.cookie(FORM_COOKIE)
    return bool(expected) and hmac.compare_digest((expected or "").encode(), visit.form.get("form_token", "").encode())


def anonymous_token(visit: PageRequest) -> str:
    """The token of a form before signing in: the one in the cookie, or a new one."""
    return visit.cookie(FORM_COOKIE) or secrets.token_urlsafe(32)


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
