import re

import pytest

from dialogue.errors import Misconfigured
from dialogue.messages import Address
from dialogue.process.admins import AdminAccount, check, parse
from dialogue.process.settings import DialogueSettings

ACCOUNTS = {
    "telegram": AdminAccount(re.compile(r"[1-9]\d{0,19}"), "a number, not a @name", "123456789"),
    "wechat": AdminAccount(re.compile(r"[^\s:/]{1,200}"), "one word", "wxid_abc"),
}


def test_several_admins_are_read_and_each_once() -> None:
    assert parse(" telegram:42, wechat:wxid_abc,telegram:42,") == (
        Address(channel="telegram", chat_id="42"),
        Address(channel="wechat", chat_id="wxid_abc"),
    )
    assert parse("") == ()


@pytest.mark.parametrize("setting", ["42", "telegram:", ":42", "telegram:1, 7"])
def test_what_names_no_channel_and_person_is_refused_with_the_other_settings(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINDGLM_ADMINS", setting)
    with pytest.raises(Misconfigured, match=r"MINDGLM_ADMINS.*entry [12] must be a channel, a colon"):
        DialogueSettings.read()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("telegram:42,,qq:7", "MINDGLM_ADMINS: entry 3 must begin with one of telegram:, wechat: as in telegram:1234"),
        ("telegram:@anna", "entry 1 needs the user's id after telegram: – a number, not a @name"),
        ("telegram:42,wechat:two words", "entry 2 needs the user's id after wechat: – one word"),
    ],
)
def test_what_cannot_be_somebody_on_that_channel_is_refused(setting: str, complaint: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        check("MINDGLM_ADMINS", setting, ACCOUNTS)
    assert complaint in str(refused.value)
    assert "anna" not in str(refused.value)


def test_what_can_be_somebody_is_let_pass() -> None:
    check("MINDGLM_ADMINS", "telegram:42, wechat:wxid_abc", ACCOUNTS)
    check("MINDGLM_ADMINS", "", ACCOUNTS)
