"""Which way a request goes."""

import pytest
from pydantic import SecretStr

from dialogue.errors import Misconfigured
from dialogue.process.proxies import choose, is_loopback

FAR = "https://api.telegram.org/bot"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def chosen(url: str, setting: str | None = None) -> tuple[str, str] | None:
    proxy = choose(url, SecretStr(setting) if setting is not None else None, variable="MINDGLM_TELEGRAM_PROXY")
    return None if proxy is None else (proxy.url, proxy.source)


def test_without_anything_set_it_goes_directly() -> None:
    assert chosen(FAR) is None


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("http://u:p@h:3128", "http://u:p@h:3128"),
        ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("socks5h://h:1080", "socks5h://h:1080"),
        ("socks://127.0.0.1:1080/", "socks5://127.0.0.1:1080/"),
        ("h:3128", "http://h:3128"),
        ("SOCKS5://u:p%40ss@h:1080", "socks5://u:p%40ss@h:1080"),
        ("Socks://h:1080", "socks5://h:1080"),
    ],
)
def test_variables_and_our_own_setting_name_a_proxy(monkeypatch: pytest.MonkeyPatch, value: str, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    assert chosen(FAR) == (url, "ALL_PROXY")
    monkeypatch.delenv("ALL_PROXY")
    assert chosen(FAR, value) == (url, "MINDGLM_TELEGRAM_PROXY")


def test_the_more_specific_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://https:2")
    assert chosen(FAR) == ("http://https:2", "HTTPS_PROXY")
    assert chosen("http://h/v1") == ("socks5://all:1", "ALL_PROXY")
    assert chosen(FAR, "http://ours:3") == ("http://ours:3", "MINDGLM_TELEGRAM_PROXY")
    monkeypatch.setenv("NO_PROXY", "telegram.org")
    assert chosen(FAR) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.8.8.8", "a.localhost"])
def test_this_machine_is_asked_directly(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name.lower(), "socks4://broken:1")
    assert chosen(f"http://{host}/v1") is None
    assert chosen(f"https://{host}/v1") is None


@pytest.mark.parametrize("value", ["socks4://h:1", "ftp://h:1", "http://", "http://h:port", "socks5://:1080"])
def test_what_cannot_be_used_is_refused_by_the_name_of_what_was_set(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(Misconfigured, match="ALL_PROXY"):
        chosen(FAR)
    with pytest.raises(Misconfigured, match="MINDGLM_TELEGRAM_PROXY"):
        chosen(FAR, value)


def test_a_password_is_never_shown() -> None:
    assert "secret" not in repr(choose(FAR, SecretStr("http://u:secret@h:1"), variable="X"))


def test_names_that_only_look_like_this_machine_do_not() -> None:
    assert not any(map(is_loopback, ("localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "")))
