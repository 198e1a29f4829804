"""Single sign-on in a real browser: its rules for cookies and content policies stand between two sites."""

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Browser, Page, expect
from pydantic import SecretStr

from console import accounts, identities
from console.single_sign_on import provider_of
from tests.console.conftest import House
from tests.console.e2e.conftest import Open, keep
from tests.console.e2e.served import ServedHouse
from tests.console.test_cases import alarm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DRAFT = "我是林老师，我在。"
ANSWERED = {"email": "lin@example.org", "email_verified": True}


@pytest.fixture
def issuer() -> Iterator[str]:
    with run_server_in_thread(user_claims=[User(sub="s-lin", claims=ANSWERED), User(sub="s-chen")]) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def centre(house: House, issuer: str) -> Iterator[ServedHouse]:
    settings = house.services.settings.model_copy(
        update={
            "oidc_issuer": issuer,
            "oidc_client_id": "console",
            "oidc_client_secret": SecretStr("s3cret"),
            "oidc_label": "统一身份认证",
        }
    )
    house.services = replace(house.services, settings=settings, provider=provider_of(settings))
    with house.services.database.begin() as session:
        lin = accounts.by_name(session, "lin")
        assert lin is not None
        identities.set_email(session, lin.id, "lin@example.org", actor="test", now=house.clock())
    with ServedHouse(house) as served:
        yield served


def agree(page: Page, subject: str) -> None:
    """On the provider's page."""
    expect(page).to_have_url(re.compile("/oauth2/authorize"))
    page.locator("button, input[type=submit]").filter(has_text=subject).first.click()


def test_in_and_out_and_a_draft_survives_an_idle_hour(centre: ServedHouse, chromium: Browser, issuer: str) -> None:
    house = centre.house
    conversation_id = alarm(house, who="甲")
    context = chromium.new_context(base_url=centre.url, locale="zh-CN")
    page = context.new_page()
    page.goto("/sign-in")
    expect(page.locator(".single-sign-on")).to_contain_text("用统一身份认证登录")
    keep(page, "sign-in-single-sign-on")
    page.click(".single-sign-on a")
    agree(page, "s-lin")
    expect(page.locator("header .self")).to_contain_text("lin")

    page.goto(f"/conversations/{conversation_id}")
    page.locator("details.action", has_text="接管").locator("summary").click()
    page.locator("form[action$='/take-over'] button").click()
    page.click("button:has-text('打开对话内容')")
    page.fill("#words", DRAFT)
    house.clock.tick(3600)
    expect(page.locator("#lock")).to_be_visible(timeout=20_000)
    signed_in_again_at = house.clock().timestamp() + 1
    httpx2.put(f"{issuer}/users/s-lin", json={**ANSWERED, "auth_time": signed_in_again_at}).raise_for_status()
    with context.expect_page() as opening:
        page.click("#unlock-elsewhere")
    other = opening.value
    agree(other, "s-lin")
    expect(page.locator("#lock")).to_be_hidden(timeout=20_000)
    assert page.input_value("#words") == DRAFT
    page.click("form[action$='say#end'] button")
    expect(page.locator(".said.human")).to_contain_text(DRAFT)

    page.click("header form button")
    expect(page.locator("a[href='/sign-in/oidc/leave']")).to_be_visible()
    page.click("a[href='/sign-in/oidc/leave']")
    expect(page).to_have_url(re.compile("/oauth2/end_session|/sign-in"))
    context.close()


def test_an_account_is_connected_from_a_form_in_spite_of_the_content_policy(
    centre: ServedHouse, open_desk: Open
) -> None:
    chen = open_desk("chen")
    chen.goto("/account")
    keep(chen, "account-single-sign-on")
    chen.click("form[action='/account/oidc'] button")
    agree(chen, "s-chen")
    expect(chen.locator(".notice")).to_be_visible()
    expect(chen.locator("main")).to_contain_text("已绑定")
    chen.goto("/staff")
    keep(chen, "staff-single-sign-on")
