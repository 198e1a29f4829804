"""Signing in and out, and one-time links for choosing a password."""

from dataclasses import replace

from starlette.responses import RedirectResponse, Response

from console import accounts, csrf, passwords, sessions, signing_in
from console.accounts import BadName, Link, LinkSpent, NameTaken
from console.gate import PageRoute
from console.page_request import (
    BROWSER_COOKIE,
    FORM_COOKIE,
    LOCALE_COOKIE,
    SESSION_COOKIE,
    PageRequest,
    Refused,
    local_path,
)
from console.passwords import WeakPassword
from console.sessions import Standing
from console.signing_in import Attempt, TooManyTries, WrongPassword
from console.words import LOCALES
from dialogue.states import Role


def sign_in_form(visit: PageRequest) -> Response:
    if visit.who is not None:
        return visit.go("/")
    has_left = visit.query("left") == "1"
    return form(visit, next=local_path(visit.query("next")), error=None, has_left=has_left)


def sign_in(visit: PageRequest) -> Response:
    name, target = visit.form.get("name", ""), local_path(visit.form.get("next", ""))
    try:
        cookie = signing_in.sign_in(
            visit.services.database,
            name=name,
            password=visit.form.get("password", ""),
            attempt=Attempt(address=visit.address, browser=visit.cookie(BROWSER_COOKIE)),
            lifetimes=visit.services.lifetimes,
            now=visit.now,
        )
    except WrongPassword:
        return form(visit, status=401, next=target, name=name, error=("error_password", {}))
    except TooManyTries as refused:
        wait = {"until": refused.until.astimezone(visit.zone).strftime("%H:%M")}
        return form(visit, status=429, next=target, name=name, error=("error_tries", wait))
    response = visit.go(target)
    visit.set_cookie(response, SESSION_COOKIE, cookie)
    return response


def sign_out(visit: PageRequest) -> Response:
    with visit.services.database.begin() as session:
        sessions.end(session, visit.staff)
    is_elsewhere = visit.services.provider is not None and visit.staff.opened_by is not None
    response = RedirectResponse("/sign-in?left=1" if is_elsewhere else "/sign-in", status_code=303)
    response.delete_cookie(visit.cookie_name(SESSION_COOKIE), path="/", secure=visit.is_https, httponly=True)
    return response


def welcome_form(visit: PageRequest) -> Response:
    return _form(visit, "welcome.html", link=_link(visit), name="", error=None)


def welcome(visit: PageRequest) -> Response:
    """Set the password; for the first admin also the name."""
    link = _link(visit)
    name = link.name or visit.form.get("name", "")
    trouble = None
    if visit.form.get("password") != visit.form.get("again"):
        trouble = "error_again"
    else:
        try:
            return _choose(visit, link, accounts.normalised(name))
        except BadName:
            trouble = "error_name"
        except NameTaken:
            trouble = "error_name_taken"
        except WeakPassword:
            trouble = "error_weak"
        except LinkSpent:
            raise Refused(410, "error_link") from None
    return _form(visit, "welcome.html", status=422, link=link, name=name, error=(trouble, {}))


def _choose(visit: PageRequest, link: Link, name: str) -> Response:
    digest = passwords.digest(visit.form.get("password", ""), name=name)
    actor = sessions.actor(name)
    with visit.services.database.begin() as session:
        accounts.spend(session, link)
        staff_id = link.staff_id or accounts.add(
            session, name=name, role=Role.ADMIN, locale=visit.locale, actor=actor, now=visit.now
        )
        accounts.set_password(session, staff_id, digest, actor=actor, now=visit.now)
        signing_in.forgive(session, name)
        cookie = sessions.open_for(session, staff_id, visit.services.lifetimes, now=visit.now)
    response = visit.go("/", notice="welcome")
    visit.set_cookie(response, SESSION_COOKIE, cookie)
    return response


def _link(visit: PageRequest) -> Link:
    try:
        with visit.services.database.read() as session:
            return accounts.find_link(session, visit.request.path_params["token"], now=visit.now)
    except LinkSpent:
        raise Refused(410, "error_link") from None


def form(visit: PageRequest, *, status: int = 200, next: str, **values: object) -> Response:  # noqa: A002 - the field
    """The form for signing in, as it is shown again with an error."""
    shown = {"name": "", "has_left": False} | values
    return _form(visit, "sign_in.html", status=status, next=next, **shown)


def _form(visit: PageRequest, template: str, *, status: int = 200, **values: object) -> Response:
    """Uses its own CSRF token because there is no session yet; ignores any session there is."""
    token = csrf.anonymous_token(visit)
    nobodys = replace(visit, who=None, idle=None)
    response = nobodys.page(template, status=status, **values, form_token=token, locales=LOCALES)
    visit.set_cookie(response, FORM_COOKIE, token)
    if visit.query("lang") in LOCALES:
        response.set_cookie(LOCALE_COOKIE, visit.locale, path="/", samesite="lax", secure=visit.is_https)
    return response


PAGES = (
    PageRoute(path="/sign-in", method="GET", role=None, handler=sign_in_form),
    PageRoute(path="/sign-in", method="POST", role=None, handler=sign_in),
    PageRoute(
        path="/sign-out",
        method="POST",
        role=Role.VIEWER,
        handler=sign_out,
        during=frozenset({Standing.ENROL, Standing.VERIFY}),
    ),
    PageRoute(path="/welcome/{token}", method="GET", role=None, handler=welcome_form),
    PageRoute(path="/welcome/{token}", method="POST", role=None, handler=welcome),
)
