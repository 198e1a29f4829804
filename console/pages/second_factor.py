"""The second factor: given after the password, set up where it is required, and managed afterwards."""

from uuid import UUID

import segno
from sqlalchemy.orm import Session
from starlette.responses import Response

from console import known_browsers, passkeys, second_factor, sessions, sign_in_throttle, signing_in
from console.gate import PageRoute
from console.page_request import BROWSER_COOKIE, PageRequest, local_path
from console.passkeys import PasskeyRefused, Site
from console.second_factor import PASSKEY, Given, LastFactor
from console.sessions import Standing
from dialogue.errors import DialogueError
from dialogue.states import Role
from dialogue.tables import StaffFactor

FAILED = "second_factor_failed"
_ENROLLING = frozenset({Standing.ENROL})
_VERIFYING = frozenset({Standing.VERIFY})


class _Wrong(DialogueError):
    """The code or the passkey is not accepted; `key` names the text that says why."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def verify_form(visit: PageRequest) -> Response:
    if visit.staff.standing is Standing.DONE:
        return visit.go(_target(visit))
    return _verify_page(visit)


def verify(visit: PageRequest) -> Response:
    """A code or a passkey; wrong ones are counted before they are looked at."""
    if visit.staff.standing is Standing.DONE:
        return visit.go(_target(visit))
    counted = sign_in_throttle.code_limits(str(visit.staff.staff_id))
    with visit.services.database.begin() as session:
        until = sign_in_throttle.count(session, counted, now=visit.now)
    if until is not None:
        wait = {"until": until.astimezone(visit.zone).strftime("%H:%M")}
        return _verify_page(visit, status=429, error=("error_codes", wait))
    with visit.services.database.begin() as session:
        given = _given(session, visit)
        if given is None:
            signing_in.note(session, action=FAILED, actor=visit.staff.name, address=visit.address, now=visit.now)
        else:
            sign_in_throttle.forgive(session, counted)
            sessions.verify(session, visit.staff, now=visit.now)
            browser = known_browsers.remember(
                session, visit.staff.staff_id, visit.cookie(BROWSER_COOKIE), now=visit.now
            )
    if given is None:
        return _verify_page(visit, status=401, error=("error_code", {}))
    response = visit.go("/second-factor" if given is Given.RECOVERY_CODE else _target(visit))
    remember_browser(visit, response, browser)
    return response


def own(visit: PageRequest) -> Response:
    return _own_page(visit)


def add(visit: PageRequest) -> Response:
    """Confirm an app by its first code, or add a passkey; the first factor brings the recovery codes."""
    try:
        with visit.services.database.begin() as session:
            had_any = bool(second_factor.of(session, visit.staff.staff_id))
            _add(session, visit)
            sessions.verify(session, visit.staff, now=visit.now)
            codes = [] if had_any else second_factor.renew_recovery_codes(session, visit.staff.staff_id, now=visit.now)
            browser = known_browsers.remember(
                session, visit.staff.staff_id, visit.cookie(BROWSER_COOKIE), now=visit.now
            )
    except _Wrong as wrong:
        return _own_page(visit, status=422, error=wrong.key)
    response = _codes_page(visit, codes) if codes else visit.go("/second-factor", notice="saved")
    remember_browser(visit, response, browser)
    return response


def renew_codes(visit: PageRequest) -> Response:
    with visit.services.database.begin() as session:
        codes = second_factor.renew_recovery_codes(session, visit.staff.staff_id, now=visit.now)
    return _codes_page(visit, codes)


def remove(visit: PageRequest) -> Response:
    try:
        with visit.services.database.begin() as session:
            second_factor.remove(
                session, visit.staff.staff_id, visit.path_id(), is_required=_is_required(visit), now=visit.now
            )
    except LastFactor:
        return _own_page(visit, status=409, error="error_last_factor")
    return visit.go("/second-factor", notice="saved")


def remember_browser(visit: PageRequest, response: Response, token: str) -> None:
    seconds = round(known_browsers.LIFETIME.total_seconds())
    visit.set_cookie(response, BROWSER_COOKIE, token, max_age=seconds)


def _given(session: Session, visit: PageRequest) -> Given | None:
    staff_id = visit.staff.staff_id
    answer = visit.form.get("credential", "")
    if not answer:
        return second_factor.check_code(
            session, visit.services.keys, staff_id, visit.form.get("code", ""), now=visit.now
        )
    try:
        challenge = _answered(session, visit, answer)
        factor, count = passkeys.used(_site(visit), answer, challenge=challenge, known=_passkeys(session, staff_id))
    except PasskeyRefused:
        return None
    factor.counter, factor.used_at = count, visit.now
    session.flush()
    return Given.PASSKEY


def _add(session: Session, visit: PageRequest) -> None:
    staff_id, name = visit.staff.staff_id, visit.form.get("label", "").strip()
    answer = visit.form.get("credential", "")
    if not answer:
        code = visit.form.get("code", "")
        if not second_factor.confirm_app(session, visit.services.keys, visit.staff, code, name=name, now=visit.now):
            raise _Wrong("error_code")
        return
    try:
        challenge = _answered(session, visit, answer)
        new = passkeys.registered(_site(visit), answer, challenge=challenge)
    except PasskeyRefused:
        raise _Wrong("error_passkey") from None
    second_factor.add_passkey(
        session,
        staff_id,
        credential_id=new.credential_id,
        public_key=new.public_key,
        count=new.count,
        name=name,
        now=visit.now,
    )


def _verify_page(visit: PageRequest, *, status: int = 200, error: tuple[str, dict[str, str]] | None = None) -> Response:
    site = _site(visit)
    with visit.services.database.read() as session:
        known = _passkeys(session, visit.staff.staff_id)
    options = None
    if known and site.can_have_passkeys:
        options = passkeys.authentication(site, challenge=_asked(visit), known=known)
    target = _target(visit)
    return visit.page("verify.html", status=status, error=error, options=options, target=target)


def _own_page(visit: PageRequest, *, status: int = 200, error: str | None = None) -> Response:
    site, staff_id = _site(visit), visit.staff.staff_id
    with visit.services.database.read() as session:
        factors = second_factor.of(session, staff_id)
        left = second_factor.recovery_codes_left(session, staff_id)
    secret = second_factor.new_app_secret(visit.services.keys, visit.staff, factors)
    options = None
    if site.can_have_passkeys:
        options = passkeys.registration(
            site, user_id=staff_id.bytes, name=visit.staff.name, challenge=_asked(visit), known=factors
        )
    return visit.page(
        "second_factor.html",
        status=status,
        error=error,
        factors=factors,
        is_first=not factors,
        can_remove=len(factors) > 1 or not _is_required(visit),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        picture=segno.make(second_factor.uri(secret, visit.staff.name), error="m").svg_inline(scale=5, light="#fff"),
        options=options,
        codes_left=left,
    )


def _codes_page(visit: PageRequest, codes: list[str]) -> Response:
    return visit.page("recovery_codes.html", codes=codes)


def _asked(visit: PageRequest) -> bytes:
    return sessions.challenges(visit.staff, now=visit.now)[0]


def _answered(session: Session, visit: PageRequest, answer: str) -> bytes:
    """The challenge that the answer is to: one of this session, and answered for the first time."""
    challenge = passkeys.challenge_of(answer)
    if challenge not in sessions.challenges(visit.staff, now=visit.now):
        raise PasskeyRefused
    if not sessions.spend_challenge(session, visit.staff, challenge):
        raise PasskeyRefused
    return challenge


def _passkeys(session: Session, staff_id: UUID) -> list[StaffFactor]:
    return [one for one in second_factor.of(session, staff_id) if one.kind == PASSKEY]


def _is_required(visit: PageRequest) -> bool:
    return visit.services.settings.console_second_factor == "required" and visit.staff.may(Role.COUNSELLOR)


def _site(visit: PageRequest) -> Site:
    return passkeys.site(visit.services.settings.console_url or str(visit.request.base_url))


def _target(visit: PageRequest) -> str:
    return local_path(visit.form.get("next", "") or visit.query("next"))


PAGES = (
    PageRoute(path="/sign-in/second", method="GET", role=Role.VIEWER, handler=verify_form, during=_VERIFYING),
    PageRoute(path="/sign-in/second", method="POST", role=Role.VIEWER, handler=verify, during=_VERIFYING),
    PageRoute(path="/second-factor", method="GET", role=Role.VIEWER, handler=own, during=_ENROLLING),
    PageRoute(path="/second-factor", method="POST", role=Role.VIEWER, handler=add, during=_ENROLLING),
    PageRoute(path="/second-factor/codes", method="POST", role=Role.VIEWER, handler=renew_codes),
    PageRoute(path="/second-factor/{id}/remove", method="POST", role=Role.VIEWER, handler=remove),
)
