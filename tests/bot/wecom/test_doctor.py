"""`mindglm doctor` on WeCom: what the operator must mend is named, by the real calls before a loopback WeCom."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.channels.findings import CheckResult, Grade
from bot.channels.wecom.doctor import examine
from bot.channels.wecom.manifest import MANIFEST
from bot.channels.wecom.settings import WecomSettings
from dialogue.core import cursors
from dialogue.storage.database import connect, sqlite_url
from tests.bot.contract.wecom import settings_for
from tests.bot.wecom.loopback import WeCom
from tests.bot.wecom.wire import ACCOUNT, SECRET
from tests.services.migrated import migrate


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = sqlite_url(tmp_path / "bot.db")
    migrate(made)
    return made


def found(wecom: WeCom, url: str = "sqlite:///:memory:", **settings: Any) -> dict[str, CheckResult]:
    told = settings_for(wecom, database_url=SecretStr(url), **settings)
    return {result.key: result for result in examine(told)}


def test_nothing_is_asked_of_wecom_where_it_is_off_or_half_set_up(wecom: WeCom) -> None:
    assert [result.key for result in examine(WecomSettings())] == ["wecom_off"]
    (half,) = examine(WecomSettings(wecom_corp_id="ww1", wecom_api_url=wecom.api_url))
    assert (half.key, half.grade) == ("wecom_incomplete", Grade.FAIL)
    for name in ("SECRET", "CALLBACK_TOKEN", "AES_KEY"):
        assert f"MINDGLM_WECOM_{name}" in str(half.values["variables"])
    assert not wecom.calls


def test_all_is_well(wecom: WeCom, url: str) -> None:
    assert {key: one.grade for key, one in found(wecom, url).items()} == {"wecom": Grade.OK}


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (60020, "wecom_ip_not_listed"),
        (48002, "wecom_no_right"),
        (60030, "wecom_no_right"),
        (301002, "wecom_no_right"),
        (95011, "wecom_switched_off"),
        (95012, "wecom_switched_off"),
        (95017, "wecom_switched_off"),
        (45009, "wecom_refused"),
    ],
)
def test_what_wecom_refuses_is_named(wecom: WeCom, url: str, code: int, key: str) -> None:
    wecom.fault("kf/account/list", code, times=9, message="not allow, from ip: 203.0.113.7, more info")
    refused = found(wecom, url)[key]
    assert refused.grade is Grade.FAIL
    if code == 60020:
        assert refused.values["ip"] == "203.0.113.7"


@pytest.mark.parametrize(("field", "value"), [("wecom_secret", SecretStr("wrong")), ("wecom_corp_id", "ww-wrong")])
def test_a_secret_or_an_id_that_is_refused_is_named_and_not_shown(
    wecom: WeCom, url: str, field: str, value: SecretStr | str
) -> None:
    refused = found(wecom, url, **{field: value})
    assert refused["wecom_credentials"].grade is Grade.FAIL
    assert SECRET not in repr(refused)


def test_a_token_that_has_ended_is_nothing_to_mend(wecom: WeCom, url: str) -> None:
    wecom.fault("kf/account/list", 42001)
    assert set(found(wecom, url)) == {"wecom"}
    assert wecom.calls["gettoken"] == 2


@pytest.mark.parametrize("url_", ["http://127.0.0.1:1/cgi-bin", "http://[broken", "qyapi.weixin.qq.com"])
def test_where_nobody_answers_is_named(wecom: WeCom, url: str, url_: str) -> None:
    away = found(wecom, url, wecom_api_url=url_)["wecom_away"]
    assert (away.grade, away.values["url"]) == (Grade.FAIL, url_)


def test_an_encoding_key_of_another_shape_is_named(wecom: WeCom, url: str) -> None:
    assert found(wecom, url, wecom_aes_key=SecretStr("too short"))["wecom_aes_key_shape"].grade is Grade.FAIL


def test_accounts_that_are_not_there_are_named(wecom: WeCom, url: str) -> None:
    gone = found(wecom, url, wecom_accounts="wkGONE")
    assert gone["wecom_account_unknown"].values["account"] == "wkGONE"
    assert gone["wecom_no_accounts"].grade is Grade.FAIL
    wecom.accounts.clear()
    assert found(wecom, url)["wecom_no_accounts"].grade is Grade.FAIL


def test_colleagues_who_may_grab_every_session_are_named(wecom: WeCom, url: str) -> None:
    wecom.on_duty |= {"lisi", "wangwu"}
    grabbing = found(wecom, url)["wecom_colleagues_on_duty"]
    assert (grabbing.grade, grabbing.values["count"]) == (Grade.WARN, 2)
    assert "wecom_colleagues_on_duty" not in found(wecom, url, wecom_servicers="lisi")


def test_servicers_of_whom_none_is_on_duty_are_named(wecom: WeCom, url: str) -> None:
    assert found(wecom, url, wecom_servicers="lisi")["wecom_nobody_on_duty"].grade is Grade.NOTE
    wecom.on_duty.add("lisi")
    assert "wecom_nobody_on_duty" not in found(wecom, url, wecom_servicers="lisi")


def test_the_last_notice_of_each_account_is_told_and_one_that_never_came(wecom: WeCom, url: str) -> None:
    at = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
    database = connect(url)
    with database.begin() as session:
        cursors.know(session, "wecom", "wkNEVER", now=at)
        cursors.notice(session, "wecom", ACCOUNT, token="T", valid_for=timedelta(minutes=10), now=at)
    database.close()
    told = found(wecom, url)
    assert told["wecom_never_noticed"].values == {"account": "wkNEVER"}
    assert told["wecom_never_noticed"].grade is Grade.WARN
    assert told["wecom_noticed"].values == {"account": ACCOUNT, "at": "2026-11-28 09:30 UTC"}


def test_every_finding_has_its_words_and_what_an_operator_can_mend_says_how() -> None:
    for locale in ("zh", "en"):
        words = MANIFEST.words(locale).findings
        for key in ("wecom_ip_not_listed", "wecom_no_right", "wecom_colleagues_on_duty", "wecom_never_noticed"):
            assert words[key]["mend"]
