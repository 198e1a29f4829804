"""`mindglm doctor` on an Official Account: what is to be mended is named, by the real calls before a loopback one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.channels.findings import CheckResult, Grade
from bot.channels.oa.doctor import examine
from bot.channels.oa.manifest import MANIFEST
from bot.channels.oa.settings import OaSettings, Replying
from dialogue.storage.database import sqlite_url
from tests.bot.contract.oa import settings_for
from tests.bot.oa.loopback import OfficialAccount
from tests.bot.oa.wire import SECRET
from tests.services.migrated import migrate


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = sqlite_url(tmp_path / "bot.db")
    migrate(made)
    return made


def found(account: OfficialAccount, url: str, **settings: Any) -> dict[str, CheckResult]:
    told = settings_for(account, database_url=SecretStr(url), **settings)
    return {result.key: result for result in examine(told)}


def test_nothing_is_asked_where_it_is_off_or_half_set_up(account: OfficialAccount) -> None:
    assert [result.key for result in examine(OaSettings())] == ["oa_off"]
    (half,) = examine(OaSettings(oa_app_id="wx1", oa_api_url=account.api_url))
    assert (half.key, half.grade) == ("oa_incomplete", Grade.FAIL)
    for name in ("SECRET", "CALLBACK_TOKEN", "AES_KEY"):
        assert f"MINDGLM_OA_{name}" in str(half.values["variables"])
    assert not account.calls


def test_all_is_well_but_nobody_wrote_yet(account: OfficialAccount, url: str) -> None:
    grades = {key: one.grade for key, one in found(account, url).items()}
    assert grades == {"oa": Grade.OK, "oa_never_pushed": Grade.WARN}


@pytest.mark.parametrize(
    ("code", "key"),
    [(40164, "oa_ip_not_listed"), (40125, "oa_credentials"), (48004, "oa_blocked"), (45009, "oa_refused")],
)
def test_what_is_refused_is_named(account: OfficialAccount, url: str, code: int, key: str) -> None:
    account.fault("stable_token", code, times=9, message="invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in it")
    refused = found(account, url)[key]
    assert refused.grade is Grade.FAIL
    if code == 40164:
        assert refused.values["ip"] == "203.0.113.7"


@pytest.mark.parametrize(("field", "value"), [("oa_secret", SecretStr("wrong")), ("oa_app_id", "wx-wrong")])
def test_a_secret_or_an_id_that_is_refused_is_named_and_not_shown(
    account: OfficialAccount, url: str, field: str, value: SecretStr | str
) -> None:
    refused = found(account, url, **{field: value})
    assert refused["oa_credentials"].grade is Grade.FAIL
    assert SECRET not in repr(refused)


def test_an_account_that_is_not_verified_is_told_what_that_means(account: OfficialAccount, url: str) -> None:
    account.is_verified = False
    assert found(account, url)["oa_not_verified"].grade is Grade.WARN


def test_in_passive_mode_nothing_is_called(account: OfficialAccount, url: str) -> None:
    assert "oa_passive" in found(account, url, oa_mode=Replying.PASSIVE)
    assert not account.calls


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [("oa_callback_token", "with space", "oa_token_shape"), ("oa_aes_key", "short", "oa_aes_key_shape")],
)
def test_what_was_copied_wrongly_is_named(account: OfficialAccount, url: str, field: str, value: str, key: str) -> None:
    assert found(account, url, **{field: SecretStr(value)})[key].grade is Grade.FAIL


def test_where_nobody_is(account: OfficialAccount, url: str) -> None:
    away = found(account, url, oa_api_url="http://127.0.0.1:1")
    assert away["oa_away"].grade is Grade.FAIL


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_each_finding_is_said_in_words(locale: str) -> None:
    keys = {
        "oa", "oa_off", "oa_incomplete", "oa_not_installed", "oa_aes_key_shape", "oa_token_shape", "oa_away",
        "oa_credentials", "oa_ip_not_listed", "oa_blocked", "oa_refused", "oa_not_verified", "oa_passive",
        "oa_never_pushed", "oa_pushed",
    }  # fmt: skip
    assert MANIFEST.words(locale).findings.keys() == keys
