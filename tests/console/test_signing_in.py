from datetime import timedelta

import pytest

from console import accounts, passwords, sign_in_throttle
from console.sign_in_throttle import MAX_TRIES_OF_A_NAME, MAX_TRIES_OF_AN_ADDRESS
from dialogue.admin import audit
from dialogue.states import Role
from tests.console.conftest import PASSWORD, House, form_token


def test_name_and_password_open_the_overview(house: House) -> None:
    browser = house.browser()
    assert browser.get("/").headers["location"] == "/sign-in"
    answer = browser.sign_in("Lin ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/").status_code == 200
    with house.services.database.read() as session:
        assert audit.entries(session, actor="console:lin", action="staff_signed_in")


def test_after_signing_in_one_is_where_one_wanted_to_be_and_never_elsewhere(house: House) -> None:
    browser = house.browser()
    assert browser.get("/audit").headers["location"] == "/sign-in?next=/audit"
    form = browser.get("/sign-in?next=/audit")
    assert 'name="next" value="/audit"' in form.text
    for hostile in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""):
        answer = house.browser().post("/sign-in", next=hostile, name="lin", password=PASSWORD)
        assert answer.headers["location"] == "/", hostile


def test_a_wrong_password_a_wrong_name_and_a_disabled_account_look_the_same(house: House) -> None:
    with house.services.database.begin() as session:
        wei = accounts.by_name(session, "wei")
        assert wei is not None
        accounts.disable(session, wei.id, actor="test", now=house.clock())
    answers = [
        house.browser().sign_in(name, password)
        for name, password in [("lin", "wrong wrong wrong"), ("nobody", PASSWORD), ("wei", PASSWORD), ("", "")]
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert all("用户名或密码不对" in answer.text for answer in answers)


def test_tries_of_a_name_are_limited_and_stay_so_after_a_restart(any_house: House) -> None:
    house = any_house
    for _ in range(MAX_TRIES_OF_A_NAME):
        assert house.browser().sign_in("lin", "wrong wrong wrong").status_code == 401
    house.restart()
    refused = house.browser().sign_in("LIN", PASSWORD)
    assert refused.status_code == 429
    assert "11:15" in refused.text  # in the console's time zone
    assert house.browser().sign_in("chen").status_code == 303
    house.clock.tick(sign_in_throttle.WINDOW.total_seconds() + 1)
    assert house.browser().sign_in("lin").status_code == 303


def test_a_good_password_forgives_earlier_tries(house: House) -> None:
    for _ in range(3):
        for _ in range(MAX_TRIES_OF_A_NAME - 1):
            house.browser().sign_in("lin", "wrong wrong wrong")
        assert house.browser().sign_in("lin").status_code == 303


def test_tries_from_an_address_are_limited_whatever_the_name(house: House) -> None:
    browser = house.browser()
    token = form_token(browser.get("/sign-in"))
    for number in range(MAX_TRIES_OF_AN_ADDRESS):
        browser.post("/sign-in", token=token, name=f"guess{number}", password="wrong")
    assert browser.sign_in("lin").status_code == 429


def test_a_session_ends_after_its_time_however_busy_it_is(house: House) -> None:
    browser = house.browser(Role.VIEWER)
    for _ in range(36):
        house.clock.tick(19 * 60)
        assert browser.get("/").status_code == 200
    house.clock.tick(37 * 60)
    assert browser.get("/").status_code == 303


def test_who_does_nothing_is_signed_out_even_if_the_page_loads_itself(house: House) -> None:
    browser = house.browser(Role.VIEWER)
    house.clock.tick(25 * 60)
    assert browser.get("/?quiet=1").status_code == 200
    house.clock.tick(6 * 60)
    assert browser.get("/?quiet=1").status_code == 303


def test_signing_out_ends_this_browser_and_a_stolen_cookie_with_it(house: House) -> None:
    browser, other = house.browser(Role.VIEWER), house.browser(Role.VIEWER)
    stolen = dict(browser.client.cookies)
    assert browser.post("/sign-out").status_code == 303
    thief = house.browser()
    thief.client.cookies.update(stolen)
    assert thief.get("/").status_code == 303
    assert other.get("/").status_code == 200


def test_an_altered_cookie_opens_nothing(house: House) -> None:
    browser = house.browser(Role.VIEWER)
    token, stamp, seal = browser.client.cookies["mindglm_session"].split(".")
    later = str(int(stamp) + 3600)
    for forged in (
        f"{token}.{later}.{seal}",
        f"{token}.{stamp}.{'0' * 64}",
        token,
        "..",
        "a.b.c",
        "x.999999999999999999999999.z",
    ):
        thief = house.browser()
        thief.headers = {"cookie": f"mindglm_session={forged}"}
        assert thief.get("/").status_code == 303, forged


def test_the_cookie_is_for_this_site_only_and_hidden_from_scripts(house: House) -> None:
    cookie = house.browser().sign_in("lin").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie


def test_behind_tls_the_cookie_never_travels_in_the_clear(house: House) -> None:
    object.__setattr__(
        house.services, "settings", house.services.settings.model_copy(update={"console_url": LOOPBACK_TLS})
    )
    browser = house.browser()
    browser.client.base_url = LOOPBACK_TLS
    answer = browser.sign_in("lin")
    assert answer.headers["set-cookie"].startswith("__Host-mindglm_session=")
    assert "; Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]


LOOPBACK_TLS = "https://127.0.0.1"


def test_the_first_admin_is_made_by_a_link_that_works_once(house: House) -> None:
    with house.services.database.begin() as session:
        for member in accounts.everyone(session):
            session.delete(member)
        token = accounts.make_link(session, None, actor="", now=house.clock())
    browser = house.browser()
    assert browser.get(f"/welcome/{token}").status_code == 200
    for form in (
        {"name": "x", "password": PASSWORD, "again": PASSWORD},
        {"name": "fang", "password": "short", "again": "short"},
        {"name": "fang", "password": PASSWORD, "again": "other"},
        {"name": "fangfangfang", "password": "FangFangFang", "again": "FangFangFang"},
    ):
        assert browser.post(f"/welcome/{token}", **form).status_code == 422
    assert browser.post(f"/welcome/{token}", name="fang", password=PASSWORD, again=PASSWORD).status_code == 303
    assert browser.get("/staff").status_code == 200
    assert house.browser().get(f"/welcome/{token}").status_code == 410
    assert house.browser().post(f"/welcome/{token}", name="eve", password=PASSWORD, again=PASSWORD).status_code == 410


def test_a_first_admins_link_is_worth_nothing_once_there_is_an_admin(house: House) -> None:
    with house.services.database.begin() as session:
        token = accounts.make_link(session, None, actor="", now=house.clock())
    assert house.browser().get(f"/welcome/{token}").status_code == 410


def test_a_link_is_good_for_a_day(house: House) -> None:
    admin = house.browser(Role.ADMIN)
    page = admin.post("/staff", name="Fang", role="counsellor", locale="en")
    link = page.text.partition("http://127.0.0.1:8090")[2].partition('"')[0]
    house.clock.tick(timedelta(hours=25).total_seconds())
    assert house.browser().get(link).status_code == 410


def test_a_new_member_chooses_a_password_by_the_link_that_an_admin_hands_over(house: House) -> None:
    admin = house.browser(Role.ADMIN)
    page = admin.post("/staff", name="Fang", role="counsellor", locale="en")
    link = page.text.partition("http://127.0.0.1:8090")[2].partition('"')[0]
    browser = house.browser()
    assert 'value="fang"' in browser.get(link).text
    assert browser.post(link, name="chen", password=PASSWORD, again=PASSWORD).status_code == 303
    assert "fang" in browser.get("/account").text
    assert house.browser().sign_in("fang").status_code == 303


def test_a_new_password_signs_every_other_browser_out(house: House) -> None:
    browser, other = house.browser(Role.COUNSELLOR), house.browser(Role.COUNSELLOR)
    new = "nine slow yellow boats"
    assert browser.post("/account/password", current="wrong", password=new, again=new).status_code == 422
    assert browser.post("/account/password", current=PASSWORD, password=new, again=new).status_code == 303
    assert browser.get("/").status_code == 200
    assert other.get("/").status_code == 303
    assert house.browser().sign_in("lin", new).status_code == 303


@pytest.mark.parametrize(
    "easy",
    [
        "1234567890",
        "password123!",
        "qwertyuiop",
        "chenchenchen",
        "mindglmmindglm",
        "zhangwei1990",
        "LiuYang1988",
        "woaini1314520",
        "woaini123456",
        "一二三四五六七八九十",
        "床前明月光疑是地上霜",
    ],
)
def test_a_password_that_is_easily_guessed_is_refused_however_long(easy: str) -> None:
    with pytest.raises(passwords.WeakPassword):
        passwords.digest(easy, name="chen")


@pytest.mark.parametrize(
    "good",
    ["four quiet green rivers", "雨后的山路有点滑呀你慢走", "kV7-mowen-19-tuo", "x" * 3 + "Quiet lamp, odd tower" * 4],
)
def test_a_password_that_is_not_is_taken(good: str) -> None:
    assert passwords.fits(passwords.digest(good, name="chen"), good)


def test_a_whole_centre_may_sign_in_from_one_address(house: House) -> None:
    for _ in range(MAX_TRIES_OF_AN_ADDRESS + 5):
        assert house.browser().sign_in("wei").status_code == 303


def test_an_account_of_ones_own_buys_no_tries_at_another_name(house: House) -> None:
    for _ in range(MAX_TRIES_OF_A_NAME):
        house.browser().sign_in("lin", "guess guess guess")
        house.browser().sign_in("wei")
    assert house.browser().sign_in("lin").status_code == 429
