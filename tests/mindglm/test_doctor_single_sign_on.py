"""What `mindglm doctor` says of single sign-on, against a real provider and a port where nobody answers."""

from collections.abc import Iterator

import pytest
from oidc_provider_mock import run_server_in_thread

from bot.channels.findings import Grade
from console.settings import ConsoleSettings
from mindglm.doctor import duties, words


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def told(issuer: str, **more: str) -> list[tuple[str, Grade, str]]:
    settings = ConsoleSettings(oidc_issuer=issuer, oidc_client_id="console", **more)  # type: ignore[arg-type] # text
    spoken = words.load("zh")
    return [(one.key, one.grade, spoken.says(one)) for one in duties.single_sign_on(settings)]


def test_a_provider_that_answers_is_well_and_the_callback_is_named(issuer: str) -> None:
    ((key, grade, says),) = told(issuer, console_url="https://console.example.org")
    assert (key, grade) == ("oidc", Grade.OK)
    assert "https://console.example.org/sign-in/oidc/callback" in says


def test_without_an_address_of_the_console_it_warns(issuer: str) -> None:
    assert [(key, grade) for key, grade, _ in told(issuer)] == [("oidc_no_url", Grade.WARN), ("oidc", Grade.OK)]


@pytest.mark.parametrize("wrong", ["http://localhost:9", "{issuer}/", "{issuer}/elsewhere"])
def test_one_that_is_away_or_calls_itself_otherwise_fails(issuer: str, wrong: str) -> None:
    *_, (key, grade, says) = told(wrong.format(issuer=issuer))
    assert (key, grade) == ("oidc_unavailable", Grade.FAIL)
    assert "只能用密码登录" in says


def test_without_single_sign_on_nothing_is_said() -> None:
    assert list(duties.single_sign_on(ConsoleSettings())) == []
