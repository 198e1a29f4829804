"""Whoever may read words signs in with two factors, and nobody is locked out by it."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from httpx2 import Response
from soft_webauthn import SoftWebauthnDevice
from sqlalchemy import update

from console import accounts, sessions, sign_in_throttle
from console.app import PAGES, create_app
from console.sessions import Standing
from console.sign_in_throttle import MAX_CODES, MAX_TRIES_OF_A_NAME
from dialogue.admin import audit
from dialogue.states import Role
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import StaffSession
from dialogue.upkeep import staff_keys
from tests.console.conftest import Browser, House, form_token
from tests.console.in_process import client

SITE = "http://localhost:8090"


@pytest.fixture
def strict(any_house: House) -> House:
    """As it is by default: a second factor is required for whoever may read words."""
    settings = any_house.services.settings.model_copy(update={"console_second_factor": "required"})
    lifetimes = replace(any_house.services.lifetimes, requires_second=True)
    any_house.services = replace(any_house.services, settings=settings, lifetimes=lifetimes)
    return any_house


def new_browser(house: House) -> Browser:
    """By a host name, because passkeys know no IP addresses."""
    return Browser(client(create_app(house.services), SITE))


def enrol(house: House, browser: Browser) -> tuple[str, list[str]]:
    """Set up an app; returns its secret and the recovery codes."""
    page = browser.get("/second-factor")
    secret = shown_secret(page)
    answer = browser.post("/second-factor", token=form_token(page), code=code_of(house, secret), label="电话")
    assert answer.status_code == 200, answer.text
    codes = re.findall(r"<code>([a-z2-7-]{19})</code>", answer.text)
    assert len(codes) == 10
    return secret, codes


def shown_secret(page: Response) -> str:
    found = re.search(r"<code>([A-Z2-7 ]{30,})</code>", page.text)
    assert found is not None, page.text
    return found[1].replace(" ", "")


def code_of(house: House, secret: str) -> str:
    return pyotp.TOTP(secret).at(house.clock())


def verify(browser: Browser, code: str, **form: str) -> Response:
    return browser.post("/sign-in/second", token=form_token(browser.get("/sign-in/second")), code=code, **form)


def enrolled(house: House, name: str = "lin") -> tuple[str, list[str]]:
    browser = new_browser(house)
    browser.sign_in(name)
    secret_and_codes = enrol(house, browser)
    house.clock.tick(60)
    return secret_and_codes


def test_the_first_sign_in_leads_through_setting_it_up(strict: House) -> None:
    browser = new_browser(strict)
    assert browser.sign_in("lin").status_code == 303
    assert browser.get("/").headers["location"] == "/second-factor"
    enrol(strict, browser)
    assert browser.get("/conversations").status_code == 200
    assert {entry.action for entry in entries(strict)} >= {"second_factor_added", "recovery_codes_made"}


def test_sessions_from_before_the_upgrade_lead_there_too(strict: House) -> None:
    with strict.services.database.begin() as session:
        lin = accounts.by_name(session, "lin")
        assert lin is not None
        cookie = sessions.open_for(session, lin.id, strict.services.lifetimes, now=strict.clock())
    browser = new_browser(strict)
    browser.client.cookies.set("mindglm_session", cookie)
    assert browser.get("/conversations").headers["location"] == "/second-factor?next=/conversations"


def test_who_may_read_no_words_needs_none_until_their_role_grows(strict: House) -> None:
    browser = new_browser(strict)
    browser.sign_in("wei")
    assert browser.get("/").status_code == 200
    with strict.services.database.begin() as session:
        wei = accounts.by_name(session, "wei")
        assert wei is not None
        accounts.set_role(session, wei.id, Role.COUNSELLOR, actor="test", now=strict.clock())
    assert browser.get("/").headers["location"] == "/second-factor"


@pytest.mark.parametrize("standing", [Standing.ENROL, Standing.VERIFY])
def test_before_the_second_factor_nothing_opens(strict: House, standing: Standing) -> None:
    if standing is Standing.VERIFY:
        enrolled(strict, "chen")
    browser = new_browser(strict)
    browser.sign_in("chen")
    page = browser.get("/second-factor" if standing is Standing.ENROL else "/sign-in/second")
    assert page.status_code == 200
    for route in PAGES:
        if route.role is None or standing in route.during:
            continue
        path = re.sub(r"{\w+}", str(uuid4()), route.path)
        if route.method == "GET":
            answer = browser.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].partition("?")[0] == str(page.url.path), path
        else:
            assert browser.post(path, token=form_token(page)).status_code == 401, path
    assert entries(strict, action="staff_added", actor="console:chen") == []


def test_a_code_is_asked_for_and_accepted_once(strict: House) -> None:
    secret, _ = enrolled(strict)
    first, second = new_browser(strict), new_browser(strict)
    code = code_of(strict, secret)
    for browser in (first, second):
        browser.sign_in("lin")
    assert first.get("/audit").headers["location"] == "/sign-in/second?next=/audit"
    answer = verify(first, f" {code[:3]} {code[3:]}", next="/audit")
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
    assert first.get("/audit").status_code == 200
    assert verify(second, code).status_code == 401
    strict.clock.tick(30)
    assert verify(second, code_of(strict, secret)).status_code == 303


def test_a_recovery_code_works_once(strict: House) -> None:
    _, codes = enrolled(strict)
    for expected in (303, 401):
        browser = new_browser(strict)
        browser.sign_in("lin")
        assert verify(browser, codes[0].upper().replace("-", " ")).status_code == expected
    assert entries(strict, action="recovery_code_used")[0].reason == "left=9"


def test_wrong_codes_are_limited_and_in_the_audit_with_their_address(strict: House) -> None:
    secret, _ = enrolled(strict)
    enrolled(strict, "chen")
    browser = new_browser(strict)
    browser.sign_in("lin")
    for _ in range(MAX_CODES):
        assert verify(browser, "000000").status_code == 401
    assert verify(browser, code_of(strict, secret)).status_code == 429
    failed = entries(strict, action="second_factor_failed")
    assert len(failed) == MAX_CODES
    assert (failed[0].actor, failed[0].reason) == ("console:lin", "testclient")
    strict.clock.tick(sign_in_throttle.WINDOW.total_seconds() + 1)
    assert verify(browser, code_of(strict, secret)).status_code == 303


def test_an_admin_resets_it_with_a_reason_and_the_next_sign_in_sets_it_up_anew(strict: House) -> None:
    secret, _ = enrolled(strict)
    lin, chen = new_browser(strict), new_browser(strict)
    lin.sign_in("lin")
    verify(lin, code_of(strict, secret))
    chen.sign_in("chen")
    enrol(strict, chen)
    with strict.services.database.read() as session:
        member = accounts.by_name(session, "lin")
    assert member is not None
    path = f"/staff/{member.id}/second-factor"
    assert chen.post(path, reason=" ").status_code == 422
    assert chen.post(path, reason="手机丢了").status_code == 303
    assert lin.get("/").headers["location"] == "/sign-in"
    assert entries(strict, action="second_factor_reset")[0].reason == "lin: 手机丢了"
    lin.sign_in("lin")
    assert lin.get("/").headers["location"] == "/second-factor"


def test_the_last_one_stays_where_it_is_required(strict: House) -> None:
    browser = new_browser(strict)
    browser.sign_in("lin")
    enrol(strict, browser)
    page = browser.get("/second-factor")
    assert "/remove" not in page.text
    device = SoftWebauthnDevice()
    assert register(browser, device).status_code == 303
    first, _ = re.findall(r'action="(/second-factor/[^"]+/remove)"', browser.get("/second-factor").text)
    assert browser.post(first).status_code == 303
    assert browser.post(first).status_code == 303  # it is gone already
    assert "/remove" not in browser.get("/second-factor").text


def test_a_passkey_is_set_up_and_signs_in(strict: House) -> None:
    device = SoftWebauthnDevice()
    browser = new_browser(strict)
    browser.sign_in("lin")
    assert register(browser, device).status_code == 200  # with the recovery codes
    browser = new_browser(strict)
    browser.sign_in("lin")
    answer = sign_with(browser, device)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/").status_code == 200


def test_an_answer_of_a_passkey_is_accepted_once(strict: House) -> None:
    device = SoftWebauthnDevice()
    browser = new_browser(strict)
    browser.sign_in("lin")
    register(browser, device)
    browser = new_browser(strict)
    browser.sign_in("lin")
    page = browser.get("/sign-in/second")
    answer = json.dumps(assertion(device, options_of(page)))
    assert browser.post("/sign-in/second", token=form_token(page), credential=answer).status_code == 303
    with strict.services.database.begin() as session:  # as if it had not been accepted yet
        session.execute(update(StaffSession).values(verified_at=None))
    assert browser.post("/sign-in/second", token=form_token(page), credential=answer).status_code == 401


def test_a_passkey_of_another_site_another_device_or_an_old_challenge_is_refused(strict: House) -> None:
    device, other = SoftWebauthnDevice(), SoftWebauthnDevice()
    browser = new_browser(strict)
    browser.sign_in("lin")
    register(browser, device)
    other.cred_init("localhost", b"x")
    browser = new_browser(strict)
    browser.sign_in("lin")
    assert sign_with(browser, device, origin="https://evil.example").status_code == 401
    assert sign_with(browser, other).status_code == 401
    page = browser.get("/sign-in/second")
    answer = json.dumps(assertion(device, options_of(page)))
    strict.clock.tick(10 * 60)  # another challenge is asked by now
    assert browser.post("/sign-in/second", token=form_token(page), credential=answer).status_code == 401
    for nonsense in ("{}", "[]", "null", '{"id": "!"}', '{"id": 1}', "x" * 1000, answer[:-5]):
        assert browser.post("/sign-in/second", token=form_token(page), credential=nonsense).status_code in {401, 429}


def test_passkeys_are_not_offered_where_a_browser_could_not_use_them(strict: House) -> None:
    browser = strict.browser()  # by its IP address
    browser.sign_in("lin")
    assert 'data-act="create"' not in browser.get("/second-factor").text


def test_nobody_locks_a_browser_out_that_was_used_before(strict: House) -> None:
    own = new_browser(strict)
    own.sign_in("lin")
    secret, _ = enrol(strict, own)
    strict.clock.tick(60)
    own.post("/sign-out")
    for _ in range(MAX_TRIES_OF_A_NAME + 1):
        last = new_browser(strict).sign_in("lin", "guess guess guess")
    assert last.status_code == 429
    assert own.sign_in("lin").status_code == 303
    assert verify(own, code_of(strict, secret)).status_code == 303


def test_a_failed_sign_in_is_in_the_audit_without_what_was_typed(strict: House) -> None:
    new_browser(strict).sign_in("my password by mistake", "x")
    new_browser(strict).sign_in("lin", "wrong wrong wrong")
    found = entries(strict, action="sign_in_failed")
    assert [(entry.actor, entry.reason) for entry in found] == [
        ("console:lin", "testclient"),
        ("console", "testclient"),
    ]


def test_the_secrets_survive_a_change_of_the_master_key(strict: House) -> None:
    secret, _ = enrolled(strict)
    old = strict.services.settings.secret_key
    assert old is not None
    keys = MasterKeys.parse(f"{new_secret()},{old.get_secret_value()}")
    with strict.services.database.begin() as session:
        assert staff_keys.rewrap_all(session, keys) == 1
        assert staff_keys.rewrap_all(session, keys) == 0
        assert set(staff_keys.wrapped_by(session)) == {keys.current_id}
    strict.services = replace(strict.services, keys=keys)
    browser = new_browser(strict)
    browser.sign_in("lin")
    assert verify(browser, code_of(strict, secret)).status_code == 303


def entries(house: House, **wanted: str) -> list[audit.Entry]:
    with house.services.database.read() as session:
        return audit.entries(session, **wanted)  # type: ignore[arg-type]  # only texts are asked for here


def register(browser: Browser, device: SoftWebauthnDevice) -> Response:
    page = browser.get("/second-factor")
    options = options_of(page)
    options["user"]["id"] = unpacked(options["user"]["id"])
    options["pubKeyCredParams"] = [{"alg": one["alg"], "type": one["type"]} for one in options["pubKeyCredParams"]]
    answer = device.create({"publicKey": options}, SITE)
    return browser.post("/second-factor", token=form_token(page), credential=json.dumps(packed(answer)), label="钥匙")


def sign_with(browser: Browser, device: SoftWebauthnDevice, *, origin: str = SITE) -> Response:
    page = browser.get("/sign-in/second")
    answer = json.dumps(assertion(device, options_of(page), origin=origin))
    return browser.post("/sign-in/second", token=form_token(page), credential=answer)


def assertion(device: SoftWebauthnDevice, options: dict[str, Any], *, origin: str = SITE) -> dict[str, Any]:
    return packed(device.get({"publicKey": options}, origin))


def options_of(page: Response) -> dict[str, Any]:
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found is not None, page.text
    options: dict[str, Any] = json.loads(found[1].replace("&#34;", '"'))
    options["challenge"] = unpacked(options["challenge"])
    return options


def packed(answer: dict[str, Any]) -> dict[str, Any]:
    """As a browser writes it: bytes as base64url without padding."""
    raw = answer["rawId"]
    response = {name: base64url(value) for name, value in answer["response"].items() if value is not None}
    return {"id": base64url(raw), "rawId": base64url(raw), "type": answer["type"], "response": response}


def base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).decode("ascii").rstrip("=")


def unpacked(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
