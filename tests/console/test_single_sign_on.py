"""Single sign-on against a real provider on loopback."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from httpx2 import Response
from oidc_provider_mock import User, run_server_in_thread
from pydantic import SecretStr, ValidationError

from console import accounts, identities
from console.settings import ConsoleSettings
from console.sign_in_throttle import MAX_TRIES_OF_AN_ADDRESS
from console.single_sign_on import provider_of
from dialogue.admin import audit
from dialogue.states import Role
from tests.console.conftest import Browser, House, form_token

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The provider speaks plain HTTP; reading every authority in the world takes longer than what is asked."""
LIN = {"email": "Lin@Example.org", "email_verified": True}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread(user_claims=[User(sub="s-lin", claims=LIN)]) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def centre(house: House, issuer: str) -> House:
    """A console that knows the provider; lin has an address and no password."""
    knows(house, issuer)
    set_email(house, "lin", "lin@example.org")
    claims(issuer, "s-lin", **LIN)
    return house


def knows(house: House, issuer: str, **more: object) -> None:
    settings = house.services.settings.model_copy(
        update={"oidc_issuer": issuer, "oidc_client_id": "console", "oidc_client_secret": SecretStr("s3cret"), **more}
    )
    house.services = replace(house.services, settings=settings, provider=provider_of(settings))


def requires_second_factor(house: House) -> None:
    house.services = replace(house.services, lifetimes=replace(house.services.lifetimes, requires_second=True))


def set_email(house: House, name: str, address: str) -> None:
    with house.services.database.begin() as session:
        member = accounts.by_name(session, name)
        assert member is not None
        identities.set_email(session, member.id, address, actor="test", now=house.clock())


def claims(issuer: str, subject: str, **values: object) -> None:
    httpx.put(f"{issuer}/users/{subject}", json=values, trust_env=False, verify=_NO_TLS).raise_for_status()


def depart(browser: Browser, path: str = "/sign-in/oidc") -> str:
    answer = browser.get(path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def agree(url: str, subject: str = "s-lin") -> str:
    """What somebody does at the provider; returns our path that they are sent back to."""
    answer = httpx.post(url, data={"sub": subject}, trust_env=False, verify=_NO_TLS)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


def sign_in(browser: Browser, subject: str = "s-lin", path: str = "/sign-in/oidc") -> Response:
    return browser.get(agree(depart(browser, path), subject))


def audited(house: House, action: str) -> list[str | None]:
    with house.services.database.read() as session:
        return [entry.reason for entry in audit.entries(session, action=action)]


def test_a_verified_address_finds_the_member_and_signs_them_in(centre: House) -> None:
    browser = centre.browser()
    assert "用单点登录登录" in browser.get("/sign-in").text
    answer = sign_in(browser, path="/sign-in/oidc?next=/audit")
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
    assert browser.get("/conversations").status_code == 200
    assert browser.get("/staff").status_code == 403  # her role is ours
    assert audited(centre, "staff_identity_connected") == ["lin"]
    assert audited(centre, "staff_signed_in") == ["testclient (single sign-on)"]


def test_the_request_has_state_nonce_and_a_code_challenge(centre: House) -> None:
    asked = parse_qs(urlsplit(depart(centre.browser())).query)
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert asked["redirect_uri"] == ["http://127.0.0.1:8090/sign-in/oidc/callback"]


def test_afterwards_the_subject_decides_and_not_the_address(centre: House, issuer: str) -> None:
    assert sign_in(centre.browser()).status_code == 303
    claims(issuer, "s-lin", email="lin.new@example.org", email_verified=True)
    assert sign_in(centre.browser()).status_code == 303
    claims(issuer, "s-heir", **LIN)  # the address now belongs to somebody else
    assert sign_in(centre.browser(), "s-heir").status_code == 403


@pytest.mark.parametrize(
    "told",
    [
        {"email": "lin@example.org"},
        {"email": "lin@example.org", "email_verified": False},
        {"email": "lin@example.org", "email_verified": "false"},
        {"email": "nobody@example.org", "email_verified": True},
        {"email": ["lin@example.org"], "email_verified": True},
        {},
    ],
)
def test_who_is_not_known_for_certain_stays_outside(centre: House, issuer: str, told: dict[str, object]) -> None:
    claims(issuer, "s-other", **told)
    browser = centre.browser()
    answer = sign_in(browser, "s-other")
    assert answer.status_code == 403
    assert "这里没有属于你的账号" in answer.text
    assert browser.get("/").status_code == 303
    assert audited(centre, "sign_in_failed") == ["testclient (single sign-on)"]


def test_a_disabled_member_stays_outside(centre: House) -> None:
    assert sign_in(centre.browser()).status_code == 303
    with centre.services.database.begin() as session:
        lin = accounts.by_name(session, "lin")
        assert lin is not None
        accounts.disable(session, lin.id, actor="test", now=centre.clock())
    assert sign_in(centre.browser()).status_code == 403


def test_an_answer_to_another_browser_an_old_one_and_a_made_up_one_are_refused(centre: House) -> None:
    back = agree(depart(centre.browser()))
    stranger = centre.browser()
    assert stranger.get(back).status_code == 400  # no cookie
    depart(stranger)
    assert stranger.get(back).status_code == 400  # another cookie
    slow = centre.browser()
    back = agree(depart(slow))
    centre.clock.tick(11 * 60)
    answer = slow.get(back)
    assert answer.status_code == 400
    assert "请重新登录" in answer.text


def test_an_answer_works_once(centre: House) -> None:
    browser = centre.browser()
    back = agree(depart(browser))
    kept = dict(browser.client.cookies)
    assert browser.get(back).status_code == 303
    thief = centre.browser()
    thief.client.cookies.update({"mindglm_oidc": kept["mindglm_oidc"]})
    assert thief.get(back).status_code == 401
    assert thief.get("/").status_code == 303


def test_a_code_of_another_sign_in_is_refused(centre: House) -> None:
    """Injected by whoever has a code of their own: the code verifier or the nonce does not fit."""
    theirs = parse_qs(urlsplit(agree(depart(centre.browser()))).query)["code"][0]
    browser = centre.browser()
    state = parse_qs(urlsplit(depart(browser)).query)["state"][0]
    assert browser.get(f"/sign-in/oidc/callback?code={theirs}&state={state}").status_code == 401


def test_cancelling_there_is_told(centre: House) -> None:
    browser = centre.browser()
    url = depart(browser)
    answer = httpx.post(url, data={"action": "deny"}, trust_env=False, verify=_NO_TLS)
    state = parse_qs(urlsplit(url).query)["state"][0]
    assert "error=access_denied" in answer.headers["location"]
    back = browser.get(f"/sign-in/oidc/callback?error=access_denied&state={state}")
    assert back.status_code == 401
    assert "未能在那边登录" in back.text
    english = browser.get("/sign-in?lang=en")
    assert "Sign in with single sign-on" in english.text


def test_a_provider_that_is_away_leaves_the_password(centre: House, issuer: str) -> None:
    browser = centre.browser()
    knows(centre, "http://localhost:9")
    away = centre.browser()
    answer = away.get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "单点登录没有响应" in answer.text
    assert away.sign_in("chen").status_code == 303
    knows(centre, issuer)
    assert browser.get("/sign-in").status_code == 200


def test_an_issuer_that_calls_itself_otherwise_is_refused(centre: House, issuer: str) -> None:
    knows(centre, issuer.replace("localhost", "127.0.0.1"))
    assert centre.browser().get("/sign-in/oidc").status_code in {303, 503}
    knows(centre, issuer + "/")
    assert centre.browser().get("/sign-in/oidc").status_code == 503


def test_our_second_factor_is_asked_for_after_it(centre: House) -> None:
    requires_second_factor(centre)
    browser = centre.browser()
    sign_in(browser)
    assert browser.get("/").headers["location"] == "/second-factor"


@pytest.mark.parametrize(
    ("told", "is_enough"),
    [
        ({"amr": ["pwd", "mfa"]}, True),
        ({"amr": ["pwd", "otp"]}, True),
        ({"amr": ["pwd"]}, False),
        ({"amr": ["hwk"]}, False),
        ({"amr": "mfa"}, False),
        ({}, False),
    ],
)
def test_the_providers_second_factor_counts_where_the_centre_says_so(
    centre: House, issuer: str, told: dict[str, object], is_enough: bool
) -> None:
    requires_second_factor(centre)
    knows(centre, issuer, oidc_second_factor="provider")
    claims(issuer, "s-lin", **LIN, auth_time=centre.clock().timestamp() - 60, **told)
    browser = centre.browser()
    answer = sign_in(browser)
    assert browser.get("/").status_code == (200 if is_enough else 303), answer.text


def test_it_does_not_count_from_an_earlier_sitting(centre: House, issuer: str) -> None:
    requires_second_factor(centre)
    knows(centre, issuer, oidc_second_factor="provider")
    claims(issuer, "s-lin", **LIN, amr=["mfa"], auth_time=centre.clock().timestamp() - 7200)
    browser = centre.browser()
    asked = parse_qs(urlsplit(depart(browser)).query)
    assert asked["max_age"] == ["1800"]
    sign_in(browser)
    assert browser.get("/").headers["location"] == "/second-factor"


def test_named_classes_decide_where_they_are_set(centre: House, issuer: str) -> None:
    requires_second_factor(centre)
    knows(centre, issuer, oidc_second_factor="provider", oidc_acr="gold silver")
    for acr, status in (("gold", 200), ("bronze", 303)):
        claims(issuer, "s-lin", **LIN, amr=["mfa"], acr=acr, auth_time=centre.clock().timestamp())
        browser = centre.browser()
        assert parse_qs(urlsplit(depart(browser)).query)["acr_values"] == ["gold silver"]
        sign_in(browser)
        assert browser.get("/").status_code == status, acr


def test_an_idle_session_goes_on_after_signing_in_there_again_and_a_draft_with_it(centre: House, issuer: str) -> None:
    browser = centre.browser()
    sign_in(browser)
    token = browser.token()
    centre.clock.tick(40 * 60)
    assert "unlock-elsewhere" in browser.get("/duty").text
    url = depart(browser, "/sign-in/oidc?next=/duty")
    assert parse_qs(urlsplit(url).query)["prompt"] == ["login"]
    assert parse_qs(urlsplit(url).query)["max_age"] == ["0"]
    claims(issuer, "s-lin", **LIN, auth_time=centre.clock().timestamp() + 5)
    assert browser.get(agree(url)).headers["location"] == "/duty"
    assert browser.token() == token


def test_an_idle_session_does_not_go_on_by_a_sign_in_of_this_morning(centre: House, issuer: str) -> None:
    requires_second_factor(centre)
    knows(centre, issuer, oidc_second_factor="provider")
    claims(issuer, "s-lin", **LIN, amr=["mfa"], auth_time=centre.clock().timestamp())
    browser = centre.browser()
    sign_in(browser)
    assert browser.get("/").status_code == 200
    centre.clock.tick(40 * 60)
    browser.get(agree(depart(browser)))  # still signed in there, and nobody was asked for a password
    assert browser.get("/").status_code == 303


def test_wrong_answers_are_limited_apart_from_passwords(centre: House) -> None:
    browser = centre.browser()
    for _ in range(MAX_TRIES_OF_AN_ADDRESS + 1):
        state = parse_qs(urlsplit(depart(browser)).query)["state"][0]
        answer = browser.get(f"/sign-in/oidc/callback?error=no&state={state}")
    assert answer.status_code == 429
    assert browser.sign_in("chen").status_code == 303
    centre.clock.tick(16 * 60)
    assert sign_in(centre.browser()).status_code == 303


def test_locked_passwords_do_not_lock_it(centre: House) -> None:
    for _ in range(MAX_TRIES_OF_AN_ADDRESS + 1):
        centre.browser().sign_in("lin", "wrong wrong wrong")
    assert centre.browser().sign_in("lin").status_code == 429
    assert sign_in(centre.browser()).status_code == 303


def test_who_is_signed_in_connects_their_own_account_without_an_address(centre: House, issuer: str) -> None:
    claims(issuer, "s-chen")
    browser = centre.browser(Role.ADMIN)
    page = browser.get("/account")
    departing = browser.post("/account/oidc", token=form_token(page))
    assert departing.status_code == 200
    url = departing.text.partition("0; url=")[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(agree(url, "s-chen")).headers["location"] == "/account?notice=saved"
    other = centre.browser()
    sign_in(other, "s-chen")
    assert other.get("/staff").status_code == 200
    # and nobody else connects what is hers
    lin = centre.browser(Role.COUNSELLOR)
    departing = lin.post("/account/oidc")
    url = departing.text.partition("0; url=")[2].partition('"')[0].replace("&amp;", "&")
    assert lin.get(agree(url, "s-chen")).status_code == 409


def test_an_admin_disconnects_a_member_who_is_then_signed_out(centre: House) -> None:
    browser = centre.browser()
    sign_in(browser)
    admin = centre.browser(Role.ADMIN)
    with centre.services.database.read() as session:
        lin = accounts.by_name(session, "lin")
    assert lin is not None
    assert admin.post(f"/staff/{lin.id}/disconnect").status_code == 303
    assert browser.get("/").status_code == 303
    assert audited(centre, "staff_identity_removed") == ["lin"]
    assert admin.post(f"/staff/{lin.id}/email", email="not an address").status_code == 422
    set_email(centre, "wei", "wei@example.org")
    assert admin.post(f"/staff/{lin.id}/email", email="WEI@example.org").status_code == 422


def test_a_member_is_added_with_an_address_and_needs_no_password(centre: House, issuer: str) -> None:
    admin = centre.browser(Role.ADMIN)
    fields = {"name": "fang", "role": "counsellor", "locale": "zh", "email": "fang@example.org"}
    assert admin.post("/staff", **fields).status_code == 200
    claims(issuer, "s-fang", email="fang@example.org", email_verified=True)
    browser = centre.browser()
    sign_in(browser, "s-fang")
    assert browser.get("/conversations").status_code == 200
    assert admin.post("/staff", **{**fields, "name": "fang2"}).status_code == 422
    with centre.services.database.read() as session:
        assert accounts.by_name(session, "fang2") is None
        assert "fang" in accounts.colleagues(session)


def test_signing_out_offers_to_sign_out_there_too(centre: House) -> None:
    browser = centre.browser()
    sign_in(browser)
    assert browser.post("/sign-out").headers["location"] == "/sign-in?left=1"
    assert "/sign-in/oidc/leave" in browser.get("/sign-in?left=1").text
    target = urlsplit(browser.get("/sign-in/oidc/leave").headers["location"])
    assert target.path == "/oauth2/end_session"
    assert parse_qs(target.query)["client_id"] == ["console"]


def test_without_a_provider_there_is_nothing_of_it(house: House) -> None:
    browser = house.browser()
    assert "/sign-in/oidc" not in browser.get("/sign-in").text
    assert browser.get("/sign-in/oidc").status_code == 404
    assert browser.get("/sign-in/oidc/callback?code=1&state=2").status_code == 404
    assert "oidc" not in house.browser(Role.ADMIN).get("/staff").text


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": "http://login.example.org", "oidc_client_id": "a"},
        {"oidc_issuer": "login.example.org", "oidc_client_id": "a"},
        {"oidc_issuer": "https://login.example.org"},
        {"oidc_issuer": "https://login.example.org?x=1", "oidc_client_id": "a"},
        {"oidc_scopes": "email"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ConsoleSettings(**wrong)  # type: ignore[arg-type] # as from the environment
