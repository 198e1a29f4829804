import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue.errors import Erased, Misconfigured, Unreadable, WrongSecretKey
from dialogue.storage.ids import new_id
from dialogue.storage.vault import MasterKeys, new_secret

KEYS = MasterKeys.parse(new_secret())
PERSON = new_id()
KEY = KEYS.person_key(KEYS.new_data_key(PERSON), PERSON)


@given(st.text())
def test_what_is_sealed_opens_again_and_shows_nothing(text: str) -> None:
    row = new_id()
    encoded = text.encode("utf-8", "ignore").decode("utf-8")
    sealed = KEY.seal(encoded, row=row, column="messages.text")
    assert KEY.open(sealed, row=row, column="messages.text") == encoded
    assert len(encoded) < 4 or encoded.encode() not in sealed


def test_the_same_text_is_sealed_differently_each_time() -> None:
    row = new_id()
    assert KEY.seal("我", row=row, column="a.b") != KEY.seal("我", row=row, column="a.b")


def test_a_sealed_text_opens_only_in_its_own_row_and_column() -> None:
    row = new_id()
    sealed = KEY.seal("我很难过", row=row, column="messages.text")
    with pytest.raises(Unreadable):
        KEY.open(sealed, row=new_id(), column="messages.text")
    with pytest.raises(Unreadable):
        KEY.open(sealed, row=row, column="turns.reply")


@pytest.mark.parametrize("position", [0, 1, 13, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    row = new_id()
    sealed = bytearray(KEY.seal("我很难过", row=row, column="messages.text"))
    sealed[position] ^= 1
    with pytest.raises(Unreadable):
        KEY.open(bytes(sealed), row=row, column="messages.text")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"\x00" * 12])
def test_a_stump_is_unreadable_and_no_crash(sealed: bytes) -> None:
    with pytest.raises(Unreadable):
        KEY.open(sealed, row=new_id(), column="messages.text")


def test_another_persons_key_opens_nothing() -> None:
    other = new_id()
    with pytest.raises(Unreadable):
        KEYS.person_key(KEYS.new_data_key(PERSON), other)


def test_an_erased_person_has_no_key() -> None:
    with pytest.raises(Erased):
        KEYS.person_key(None, PERSON)


def test_a_wrong_master_key_is_named_as_such() -> None:
    wrapped = KEYS.new_data_key(PERSON)
    with pytest.raises(WrongSecretKey, match="MINDGLM_SECRET_KEY"):
        MasterKeys.parse(new_secret()).person_key(wrapped, PERSON)


def test_a_new_master_key_reads_old_texts_while_the_old_one_is_still_given() -> None:
    old, new = new_secret(), new_secret()
    wrapped = MasterKeys.parse(old).new_data_key(PERSON)
    sealed = MasterKeys.parse(old).person_key(wrapped, PERSON).seal("旧", row=PERSON, column="a.b")

    both = MasterKeys.parse(f"{new}, {old}")
    assert both.person_key(wrapped, PERSON).open(sealed, row=PERSON, column="a.b") == "旧"

    rewrapped = both.rewrap(wrapped, PERSON)
    assert MasterKeys.parse(new).person_key(rewrapped, PERSON).open(sealed, row=PERSON, column="a.b") == "旧"
    with pytest.raises(WrongSecretKey):
        MasterKeys.parse(old).person_key(rewrapped, PERSON)


@pytest.mark.parametrize(
    "secret",
    ["", "abc", "密钥", base64.b64encode(os.urandom(31)).decode(), new_secret() + ",x"],
    ids=["empty", "short", "not base64", "31 bytes", "a second one that is none"],
)
def test_a_key_that_is_none_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(Misconfigured, match="MINDGLM_SECRET_KEY") as caught:
        MasterKeys.parse(secret)
    assert not secret or secret not in str(caught.value)


def test_a_persons_key_does_not_print_itself() -> None:
    assert "AESGCM" not in repr(KEY)
