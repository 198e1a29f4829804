"""Who may do what: every route, every role, with and without a good form. And what looking leaves behind: nothing."""

import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from starlette.routing import Route

from console.app import PAGES, create_app
from console.gate import PageRoute
from dialogue.admin.cases.opening import open_case
from dialogue.admin.office import Office
from dialogue.core import people
from dialogue.rights import complaints
from dialogue.states import CaseKind, DeliveryState, Role
from dialogue.tables import DELIVERIES, Table
from tests.builders import CHANNEL
from tests.console.conftest import House, form_token

ME = UUID(int=1)
PUBLIC, VIEWER, COUNSELLOR, ADMIN = None, Role.VIEWER, Role.COUNSELLOR, Role.ADMIN

MATRIX: dict[tuple[str, str], Role | None] = {
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,
    ("GET", "/sign-in/oidc"): PUBLIC,
    ("GET", "/sign-in/oidc/callback"): PUBLIC,
    ("GET", "/sign-in/oidc/leave"): PUBLIC,
    ("POST", "/account/oidc"): VIEWER,
    ("GET", "/welcome/{token}"): PUBLIC,
    ("POST", "/welcome/{token}"): PUBLIC,
    ("POST", "/sign-out"): VIEWER,
    ("GET", "/"): VIEWER,
    ("GET", "/figures"): VIEWER,
    ("GET", "/figures.csv"): VIEWER,
    ("POST", "/views"): VIEWER,
    ("POST", "/views/{id}/delete"): VIEWER,
    ("GET", "/duty"): VIEWER,
    ("GET", "/duty/closed"): VIEWER,
    ("GET", "/duty/events"): VIEWER,
    ("GET", "/duty/cases"): VIEWER,
    ("POST", "/unlock"): VIEWER,
    ("POST", "/here"): VIEWER,
    ("GET", "/cases/{id}"): VIEWER,
    ("POST", "/cases/{id}/look"): COUNSELLOR,
    ("POST", "/cases/{id}/take"): COUNSELLOR,
    ("POST", "/cases/{id}/hand"): COUNSELLOR,
    ("POST", "/cases/{id}/give-back"): COUNSELLOR,
    ("POST", "/cases/{id}/close"): COUNSELLOR,
    ("GET", "/conversations"): VIEWER,
    ("GET", "/conversations/{id}"): VIEWER,
    ("GET", "/deliveries"): VIEWER,
    ("GET", "/hotlines"): VIEWER,
    ("GET", "/account"): VIEWER,
    ("POST", "/account/password"): VIEWER,
    ("POST", "/account/preferences"): VIEWER,
    ("POST", "/account/others"): VIEWER,
    ("GET", "/sign-in/second"): VIEWER,
    ("POST", "/sign-in/second"): VIEWER,
    ("GET", "/second-factor"): VIEWER,
    ("POST", "/second-factor"): VIEWER,
    ("POST", "/second-factor/codes"): VIEWER,
    ("POST", "/second-factor/{id}/remove"): VIEWER,
    ("POST", "/staff/{id}/second-factor"): ADMIN,
    ("GET", "/conversations/{id}/pulse"): COUNSELLOR,
    ("POST", "/conversations/{id}/transcript"): COUNSELLOR,
    ("GET", "/conversations/{id}/media/{medium}"): COUNSELLOR,
    ("POST", "/conversations/{id}/say"): COUNSELLOR,
    ("POST", "/conversations/{id}/words"): COUNSELLOR,
    ("POST", "/conversations/{id}/keep"): COUNSELLOR,
    ("POST", "/conversations/{id}/reset"): COUNSELLOR,
    ("POST", "/conversations/{id}/close"): COUNSELLOR,
    ("POST", "/conversations/{id}/take-over"): COUNSELLOR,
    ("POST", "/conversations/{id}/phone"): COUNSELLOR,
    ("POST", "/conversations/{id}/release"): COUNSELLOR,
    ("POST", "/conversations/{id}/assign"): COUNSELLOR,
    ("POST", "/conversations/{id}/print"): COUNSELLOR,
    ("GET", "/people/{id}"): COUNSELLOR,
    ("POST", "/people/{id}/notes"): COUNSELLOR,
    ("POST", "/people/{id}/note"): COUNSELLOR,
    ("POST", "/people/{id}/contact"): COUNSELLOR,
    ("POST", "/people/{id}/contact-told"): COUNSELLOR,
    ("POST", "/people/{id}/search"): COUNSELLOR,
    ("POST", "/people/{id}/block"): COUNSELLOR,
    ("POST", "/people/{id}/unblock"): COUNSELLOR,
    ("POST", "/deliveries/{id}/resend"): COUNSELLOR,
    ("GET", "/complaints"): COUNSELLOR,
    ("POST", "/complaints/{id}/words"): COUNSELLOR,
    ("POST", "/complaints/{id}/settle"): COUNSELLOR,
    ("GET", "/audit"): COUNSELLOR,
    ("GET", "/staff"): ADMIN,
    ("POST", "/staff"): ADMIN,
    ("POST", "/staff/{id}/link"): ADMIN,
    ("POST", "/staff/{id}/role"): ADMIN,
    ("POST", "/staff/{id}/email"): ADMIN,
    ("POST", "/staff/{id}/disconnect"): ADMIN,
    ("POST", "/staff/{id}/disable"): ADMIN,
    ("POST", "/staff/{id}/enable"): ADMIN,
}
"""Written down a second time, so that no page becomes public by a slip."""


def paths(house: House) -> Callable[[str], str]:
    """A path of something that is there."""
    received = house.rooms.answered("你好", "我在听")
    (delivery,) = house.rooms.due(owner=ME)
    with house.services.database.begin() as session:
        session.execute(DELIVERIES.update().values(state=DeliveryState.FAILED, error="unknown"))
        person = people.locked(session, house.services.keys, channel=CHANNEL, user_id="小王", now=house.clock())
        case = open_case(
            session,
            Office(keys=house.services.keys, texts=house.services.said_to_people),
            kind=CaseKind.DANGER,
            person_id=person.id,
            conversation_id=received.conversation_id,
            level=3,
            now=house.clock(),
        )
        complaint = complaints.make(session, person, "我在听", conversation_id=None, now=house.clock())
    ids = {
        "conversations": received.conversation_id,
        "complaints": complaint,
        "cases": case,
        "people": person.id,
        "deliveries": delivery.id,
        "staff": uuid4(),
        "second-factor": uuid4(),
        "views": uuid4(),
    }

    def path(pattern: str) -> str:
        kind = pattern.split("/")[1]
        return pattern.replace("{id}", str(ids.get(kind, ""))).replace("{token}", "spent")

    return path


def contents(house: House) -> dict[str, int]:
    """A mark of every row of every table."""
    with house.services.database.read() as session:
        return {
            table.name: hash(tuple(sorted(map(repr, session.execute(select(table)).all()))))
            for table in Table.metadata.sorted_tables
        }


def test_the_matrix_has_every_page_and_the_application_nothing_else(house: House) -> None:
    assert {(page.method, page.path): page.role for page in PAGES} == MATRIX
    routes = [route for route in create_app(house.services).routes if isinstance(route, Route)]
    assert len(routes) == len(PAGES)


@pytest.mark.parametrize("role", [None, *Role], ids=["nobody", *Role])
def test_every_page_opens_for_its_roles_only_and_every_form_needs_its_token(house: House, role: Role | None) -> None:
    path, browser, before = paths(house), house.browser(role), contents(house)
    for page in PAGES:
        may = page.role is None or (role is not None and role.rank >= page.role.rank)
        if page.method == "GET":
            status = browser.get(path(page.path)).status_code
            assert status == _expected_of_get(page, role, may=may), (page.path, status)
        else:
            for token in ("", "0" * 64, "é"):
                status = browser.post(path(page.path), token=token).status_code
                assert status == (401 if role is None and page.role is not None else 403), (page.path, status)
            if not may:
                status = browser.post(path(page.path), token=browser.token()).status_code
                assert status == (401 if role is None else 403), (page.path, status)
    assert contents(house) == before


def _expected_of_get(page: PageRoute, role: Role | None, *, may: bool) -> int:
    if page.path == "/welcome/{token}":
        return 410
    if page.path.startswith("/sign-in/oidc"):
        return 404  # no single sign-on is set
    if page.path == "/sign-in":
        return 200 if role is None else 303
    if page.path == "/sign-in/second":
        return 303  # there is none to give, or nobody to give it
    if may:
        return 403 if page.path.endswith("/media/{medium}") else 200  # a medium is shown within a sitting only
    return 303 if role is None else 403


def test_another_session_s_token_is_worth_nothing(house: House) -> None:
    mine, theirs = house.browser(Role.ADMIN), house.browser(Role.ADMIN)
    assert mine.post("/account/others", token=theirs.token()).status_code == 403
    assert mine.post("/account/others", token=mine.token()).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://["},
    ],
    ids=str,
)
def test_a_form_from_another_site_is_refused_whatever_it_knows(house: House, headers: dict[str, str]) -> None:
    browser = house.browser(Role.ADMIN)
    token = browser.token()
    browser.headers = headers
    assert browser.post("/account/others", token=token).status_code == 403
    browser.headers = {"origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-origin"}
    assert browser.post("/account/others", token=token).status_code == 303


@pytest.mark.parametrize("role", list(Role))
def test_looking_changes_nothing(any_house: House, role: Role) -> None:
    path, browser, before = paths(any_house), any_house.browser(role), contents(any_house)
    before = contents(any_house)
    for page in PAGES:
        if page.method == "GET":
            browser.get(
                path(page.path) + "?q=x&channel=telegram&standing=open&tier=2&from=2026-11-01&until=2026-11-30&lang=en"
            )
            browser.client.head(path(page.path), follow_redirects=False)
    for page in PAGES:
        if page.method == "POST":
            assert browser.get(path(page.path)).status_code in {200, 303, 403, 405, 410}
    assert contents(any_house) == before


def test_a_transcript_cannot_be_had_by_looking(house: House) -> None:
    path, browser = paths(house), house.browser(Role.ADMIN)
    assert browser.get(path("/conversations/{id}/transcript")).status_code == 405
    for page in PAGES:
        if page.method == "GET" and "token" not in page.path:
            assert "我在听" not in browser.get(path(page.path)).text


PROBE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


def test_what_is_typed_into_addresses_and_fields_comes_back_as_text(house: House) -> None:
    path, browser = paths(house), house.browser(Role.ADMIN)
    for page in PAGES:
        if page.method == "GET":
            names = (
                "q",
                "channel",
                "standing",
                "tier",
                "from",
                "until",
                "person",
                "after",
                "before",
                "actor",
                "action",
                "conversation",
                "span",
                "notice",
                "next",
                "lang",
            )
            query = "&".join(f"{name}={PROBE}" for name in names)
            for address in (f"{path(page.path)}?{query}", page.path.replace("{id}", PROBE).replace("{token}", PROBE)):
                answer = browser.get(address)
                assert answer.status_code < 500, address
                assert "<script>alert" not in answer.text
                assert "<img src=x" not in answer.text
                assert not re.search(r"\b49\b", answer.text.partition("<main")[2]) or page.path == "/account", address
    nobody = house.browser()
    again = nobody.post("/sign-in", token=form_token(nobody.get("/sign-in")), name=PROBE, password="x", next=PROBE)
    assert "<script>alert" not in again.text
    refused = browser.post("/staff", name=PROBE, role="viewer", locale=PROBE)
    assert refused.status_code == 422


def test_a_platform_s_user_id_is_shown_as_text_and_to_those_who_may_read_only(house: House) -> None:
    house.rooms.answered("你好", "我在听", who="<script>alert(1)</script>")
    page = house.browser(Role.COUNSELLOR).get("/conversations").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "alert(1)" not in house.browser(Role.VIEWER).get("/conversations").text


def test_every_answer_carries_the_headers_that_keep_browsers_strict(house: House) -> None:
    browser = house.browser(Role.VIEWER)
    for address in ("/", "/sign-in", "/nothing", "/static/console.css", "/staff"):
        headers = browser.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert browser.get("/").headers["cache-control"] == "no-store"


def test_pages_hold_no_inline_script_or_style_and_nothing_from_elsewhere(house: House) -> None:
    path, browser = paths(house), house.browser(Role.ADMIN)
    for page in PAGES:
        if page.method == "GET" and "token" not in page.path:
            text = browser.get(path(page.path)).text
            assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)|<style|\sstyle=|\son\w+=", text), page.path
            assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), page.path


def test_fields_that_no_database_could_hold_break_no_page(any_house: House) -> None:
    path, browser = paths(any_house), any_house.browser(Role.ADMIN)
    odd = "?" + "&".join(f"{name}=a%00b" for name in ("q", "channel", "person", "after", "before", "actor", "action"))
    ends = ("?from=0001-01-01&until=0001-01-01", "?from=9999-12-31&until=9999-12-31")
    cursors = [f"?after={moment}_{UUID(int=1)}" for moment in ("0001-01-01T00:00%2B14:00", "9999-12-31T23:59-12:00")]
    for query in (odd, *ends, *cursors):
        assert browser.get(f"/conversations{query}").status_code == 200, query
    assert browser.get(f"/audit{odd}").status_code == 200
    fields = dict.fromkeys(("name", "reason", "text", "locale", "time_zone", "password", "again", "current"), "a\x00b")
    for page in PAGES:
        if page.method == "POST" and page.path not in {"/sign-out", "/account/others"}:
            status = browser.post(path(page.path), role="viewer", once=str(uuid4()), **fields).status_code
            assert status < 500, page.path
    assert any_house.browser().sign_in("a\x00b", "a\x00b").status_code == 401


def test_a_name_that_is_not_the_consoles_is_refused(house: House) -> None:
    browser = house.browser()
    browser.headers = {"host": "rebound.example"}
    assert browser.get("/sign-in").status_code == 400


def test_a_form_that_is_no_form_or_too_large_is_refused(house: House) -> None:
    client = house.browser(Role.VIEWER).client
    assert client.post("/account/others", json={}).status_code == 415
    assert client.post("/account/others", data={"form_token": "x" * 70_000}).status_code == 413
    assert client.post("/account/others", data={f"f{n}": "x" for n in range(60)}).status_code == 400


def test_a_database_that_is_away_is_told_in_words(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = house.browser(Role.VIEWER)
    house.services.database.engine.dispose()
    monkeypatch.setattr(house.services.database, "read", _away)
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "现在连不上数据库" in answer.text


def _away() -> None:
    from dialogue.errors import DatabaseUnavailable

    raise DatabaseUnavailable from OSError()


def test_an_address_that_nearly_fits_leads_nowhere(house: House) -> None:
    """A redirect would name whatever host the request names."""
    answer = house.browser(Role.VIEWER).get("/conversations/")
    assert answer.status_code == 404
    assert "location" not in answer.headers
