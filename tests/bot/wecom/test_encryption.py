"""The golden vectors were made elsewhere; `wechatpy` is the second opinion."""

import pytest
from wechatpy.work.crypto import WeChatCrypto

from bot.channels.tencent.documents import fields
from bot.channels.tencent.encryption import CallbackCipher, NotForUs
from bot.channels.wecom.notices import AccountsChanged, Other, SomethingCame, read
from dialogue.errors import Misconfigured
from tests.bot.wecom import wire
from tests.bot.wecom.wire import AES_KEY, CORP_ID, TOKEN

TIMESTAMP, NONCE = "1796000000", "1372623149"
ECHO = "Q3stYC6hdFzMh9T8HCvyDH0IHJENRtL8kKsqSYgg4gBeiTpo2e8dLmRRhxdna5yMVu0s4RoCX7iZ4LGYqVDhtA=="
ECHO_SIGNATURE = "ef5240856e40cf9792d00c76c1c8ad4ba07db2b3"
EVENT = (
    "Q3stYC6hdFzMh9T8HCvyDGgsgIxdRuWgPWfdPJE7N2/DvF8UHQxpsfLJgEqn/pHrNU5h8vwZXaHhFO/s1wAkuFtRSzzJx9lPlZ2bNqiIshBHBmO2"
    "iYDULVcHpkZHU1KH/IBomXKFGdDjy0oeH/2WkYw+AGt4LYUhBOB/tMdGbELO/ZniNsjhQNSlqH3HuLFAfYQg1vjK4ZZ+nJCEtWDUu6XlUfyYV2O/"
    "o8IjP16W+bgZmG/LuFbng+v2PetRfiNikIkpw9O6T3SK/V+WaYPSSd2U3fq2SfrnMQUMzhR+4FpQQkN5YBG74DHS325rU49WVlPHWgFOiKYu27MR"
    "8mxXr5tdxHafnpRfwpRVvv83//sPzQpLPQah84/82Oi9DTPm8G29QP09zIMJsSZo0Wrvln/d9y3LSo6LqQ3tTn95fJk="
)
EVENT_SIGNATURE = "e4a23f56eb7f47cb2a9d970da7088691a0e42d8c"


@pytest.fixture
def cipher() -> CallbackCipher:
    return wire.cipher()


def is_signed(cipher: CallbackCipher, signature: str, encrypted: str) -> bool:
    return cipher.is_signed(
        signature.encode(), timestamp=TIMESTAMP.encode(), nonce=NONCE.encode(), encrypted=encrypted.encode()
    )


def test_the_golden_echo_is_read(cipher: CallbackCipher) -> None:
    assert is_signed(cipher, ECHO_SIGNATURE, ECHO)
    assert cipher.decrypt(ECHO.encode()) == b"1616140317555161061"


def test_the_golden_notice_is_read(cipher: CallbackCipher) -> None:
    assert is_signed(cipher, EVENT_SIGNATURE, EVENT)
    assert read(cipher.decrypt(EVENT.encode())) == SomethingCame(account="wkAAAA0001", pull_token="ENCpull0001")


def test_what_the_loopback_encrypts_is_what_others_encrypt() -> None:
    assert wire.encrypt(b"1616140317555161061", random=b"0123456789abcdef") == ECHO
    assert wire.signature(ECHO, TIMESTAMP, NONCE) == ECHO_SIGNATURE


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 31, 32, 33, 1000])
def test_a_second_implementation_agrees(cipher: CallbackCipher, length: int) -> None:
    other = WeChatCrypto(TOKEN, AES_KEY, CORP_ID)
    message = "我" * length
    sealed = fields(other.encrypt_message(message, NONCE, TIMESTAMP).encode())
    assert is_signed(cipher, sealed["MsgSignature"], sealed["Encrypt"])
    assert cipher.decrypt(sealed["Encrypt"].encode()).decode() == message
    ours = wire.encrypt(message.encode())
    assert (
        other.decrypt_message(wire.envelope(ours).decode(), wire.signature(ours, TIMESTAMP, NONCE), TIMESTAMP, NONCE)
        == message
    )


@pytest.mark.parametrize("signature", ["", "0" * 40, ECHO_SIGNATURE[:-1] + "0", "é", EVENT_SIGNATURE])
def test_another_signature_is_none(cipher: CallbackCipher, signature: str) -> None:
    assert not is_signed(cipher, signature, ECHO)


@pytest.mark.parametrize(
    "sealed",
    [
        "",
        "not base64!",
        "AAAA",
        ECHO[:-4] + "AAA=",
        ECHO[4:] + ECHO[:4],
        wire.encrypt(b"x", corp_id="ww-somebody-else"),
        wire.encrypt(b"x", aes_key="Z" * 42 + "A"),
    ],
    ids=["nothing", "no base64", "too short", "cut", "turned round", "another corp", "another key"],
)
def test_what_is_not_for_us_is_refused(cipher: CallbackCipher, sealed: str) -> None:
    with pytest.raises(NotForUs):
        cipher.decrypt(sealed.encode())


@pytest.mark.parametrize("aes_key", ["", "short", "!" * 43, AES_KEY + "A"])
def test_an_aes_key_of_another_form_is_said(aes_key: str) -> None:
    with pytest.raises(Misconfigured, match="MINDGLM_WECOM_AES_KEY"):
        CallbackCipher(token=TOKEN, aes_key=aes_key, receiver_id=CORP_ID, key_variable="MINDGLM_WECOM_AES_KEY")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<xml>",
        b"<xml></xmk>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>',
        b"<a>" * 1000 + b"</a>" * 1000,
        b'<?xml version="1.0" encoding="nonsense"?><xml/>',
        b"\xff\xfe\x00",
    ],
)
def test_bad_documents_are_refused(document: bytes) -> None:
    with pytest.raises(NotForUs):
        read(document)


def test_notices_of_other_kinds_are_told_apart() -> None:
    assert (
        read(b"<xml><Event>kf_account_auth_change</Event><AuthAddOpenKfId>wk1</AuthAddOpenKfId></xml>")
        == AccountsChanged()
    )
    assert read(b"<xml><Event>kf_msg_or_event</Event></xml>") == Other()
    assert read(b"<xml><Event>subscribe</Event></xml>") == Other()
