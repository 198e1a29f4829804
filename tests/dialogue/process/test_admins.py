import pytest

from dialogue.errors import Misconfigured
from dialogue.messages import Address
from dialogue.process.admins import parse
from dialogue.process.settings import DialogueSettings


def test_several_admins_are_read_and_each_once() -> None:
    assert parse(" telegram:42, wechat:wxid_abc,telegram:42,") == (
        Address(channel="telegram", chat_id="42"),
        Address(channel="wechat", chat_id="wxid_abc"),
    )
    assert parse("") == ()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("42", "entry 1 must begin with one of telegram:, wechat:"),
        ("telegram:42,qq:7", "entry 2 must begin"),
        ("telegram:@anna", "a number, not a @name"),
        ("telegram:", "needs the user's id"),
        ("wechat:two words", "needs the user's id"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(
    setting: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINDGLM_ADMINS", setting)
    with pytest.raises(Misconfigured, match="MINDGLM_ADMINS") as refused:
        DialogueSettings.read()
    assert complaint in str(refused.value)
