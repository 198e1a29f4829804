"""The golden push was made elsewhere; `wechatpy` is the second opinion."""

import pytest
from wechatpy.crypto import WeChatCrypto

from bot.channels.oa import passive_reply
from bot.channels.oa.reading import Wrote, read
from bot.channels.tencent.documents import fields
from bot.channels.tencent.encryption import NotForUs
from tests.bot.oa import wire
from tests.bot.oa.wire import AES_KEY, APP_ID, TOKEN

TIMESTAMP, NONCE = "1796000000", "1372623149"
PUSH = (
    "Q3stYC6hdFzMh9T8HCvyDJUcnX/47jrDVwuFR6QtlUdRExugiHPOQ6S5LYD2mXwpql+D5rcJu+nYk66rjAiOdycZgvrh/9SbKL0yAcvscKC+JYD+"
    "hrsEWCpET0GdMrwJuBcYhFHtMJhi6Ilsve62ME64NmQNvQxesYw5SMWEdcmiq603XKhit2yUC3hWGcjXBeyR3huGWdiTrqlNJ09Pxh2I37VBLhj0"
    "zxJ9VwbJ6PzLrRhuvfS6a4IBma3taMUCX24aXlfHMU0IFkL/WtjqCOP8Xg+w/dKvN0/CjaErNxhe5Yphrnsij9yBTi+rzTWU3qxxQiy/T8nMJdR+"
    "SeFvxVKgAhurN590gBWh5o651HAIGUu0wAt1dx9nseeoAxRQhh9mZVk/iAdR0OaMjcEE944Swp1GWm7/wv8ZYlCqCwY="
)
PUSH_SIGNATURE = "29b22e46aafa3e322a15e092351014b65efae65b"
PLAIN_SIGNATURE = "2f7715d450d2f3df6dc57c76f209570d40b68435"


def is_signed(signature: str, encrypted: str) -> bool:
    return wire.cipher().is_signed(
        signature.encode(), timestamp=TIMESTAMP.encode(), nonce=NONCE.encode(), encrypted=encrypted.encode()
    )


def test_the_golden_push_is_read() -> None:
    assert is_signed(PUSH_SIGNATURE, PUSH)
    happened = read(fields(wire.cipher().decrypt(PUSH.encode())))
    assert isinstance(happened, Wrote)
    assert (happened.person, happened.key, happened.text) == ("oPerson0001", "24000000000000001", "我睡不着")


def test_the_golden_question_of_the_console_is_signed() -> None:
    assert is_signed(PLAIN_SIGNATURE, "")
    assert wire.signature(TIMESTAMP, NONCE) == PLAIN_SIGNATURE


def test_what_the_loopback_encrypts_is_what_others_encrypt() -> None:
    sent = {
        "ToUserName": "gh_1a2b3c",
        "FromUserName": "oPerson0001",
        "CreateTime": "1796000000",
        "MsgType": "text",
        "Content": "我睡不着",
        "MsgId": "24000000000000001",
    }
    assert wire.encrypt(wire.document(sent), random=b"0123456789abcdef") == PUSH
    assert wire.signature(TIMESTAMP, NONCE, PUSH) == PUSH_SIGNATURE


@pytest.mark.parametrize(
    "words", ["我在听。", "", "]]>", "]]]]>>]]>", "🫂 & <b>", "a" * 2048, "换\n行\t", "\x00\x08\ud800甲\x0b乙\uffff"]
)
def test_a_second_implementation_reads_our_passive_replies(words: str) -> None:
    sealed = passive_reply.seal(words, wire.cipher(), person="oPerson0001", account="gh_1a2b3c")
    outer = fields(sealed)
    other = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    plain = other.decrypt_message(sealed.decode(), outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"])
    told = fields(plain.encode() if isinstance(plain, str) else plain)
    assert told["Content"] == passive_reply.printable(words)
    assert (told["ToUserName"], told["FromUserName"], told["MsgType"]) == ("oPerson0001", "gh_1a2b3c", "text")


def test_a_push_for_another_account_is_none_of_ours() -> None:
    with pytest.raises(NotForUs):
        wire.cipher().decrypt(wire.encrypt(b"<xml/>", app_id="wx-of-somebody-else").encode())
