"""A passkey in Chromium, whose authenticator is a virtual one: https://chromedevtools.github.io/devtools-protocol/."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.console.e2e.conftest import PASSWORD, ConsoleProcess, keep
from tests.road.harness import Road

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def strict(busy_road: Road) -> Iterator[ConsoleProcess]:
    """As it is by default: a second factor is required."""
    process = ConsoleProcess(busy_road.home, {**busy_road.environment, "MINDGLM_CONSOLE_SECOND_FACTOR": "required"})
    yield process
    process.close()


@pytest.fixture
def console(strict: ConsoleProcess) -> ConsoleProcess:
    return strict


def with_an_authenticator(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )


def give_password(page: Page, home: str) -> None:
    page.goto(f"{home}/sign-in")
    page.fill("[name=name]", "lin")
    page.fill("[name=password]", PASSWORD)
    page.click("main form button")


def test_a_counsellor_sets_up_a_passkey_and_signs_in_with_it(
    strict: ConsoleProcess, open_browser: Callable[..., Page]
) -> None:
    strict.add_user("lin", "counsellor")
    home = strict.url.replace("127.0.0.1", "localhost")  # passkeys know no IP addresses
    page = open_browser()
    with_an_authenticator(page)
    give_password(page, home)
    expect(page).to_have_url(f"{home}/second-factor")
    keep(page, "second-factor")
    page.click("form[data-act=create] button")
    expect(page.locator("ul.codes li")).to_have_count(10)
    keep(page, "recovery-codes")
    page.click("main a[href='/']")
    expect(page.locator("header nav a").first).to_be_visible()
    page.click("header form button")
    give_password(page, home)
    expect(page).to_have_url(f"{home}/sign-in/second")
    keep(page, "second-factor-asked")
    page.click("form[data-act=get] button")
    expect(page).to_have_url(f"{home}/")
