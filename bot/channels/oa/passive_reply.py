"""The answer to a push: words for the person, encrypted and signed as the push was.

https://developers.weixin.qq.com/doc/service/guide/product/message/Passive_user_reply_message.html
"""

import re
import secrets
import time

from bot.channels.tencent.encryption import CallbackCipher

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def seal(words: str, cipher: CallbackCipher, *, person: str, account: str) -> bytes:
    """`account` is the name that the push was sent to (gh_…)."""
    now = str(int(time.time()))
    document = (
        f"<xml>{_element('ToUserName', person)}{_element('FromUserName', account)}<CreateTime>{now}</CreateTime>"
        f"{_element('MsgType', 'text')}{_element('Content', words)}</xml>"
    )
    encrypted, nonce = cipher.encrypt(document.encode()), str(secrets.randbelow(10**10))
    signature = cipher.sign(now.encode(), nonce.encode(), encrypted)
    return (
        f"<xml>{_element('Encrypt', encrypted.decode())}{_element('MsgSignature', signature.decode())}"
        f"<TimeStamp>{now}</TimeStamp>{_element('Nonce', nonce)}</xml>"
    ).encode()


def printable(words: str) -> str:
    """Without what XML cannot hold: control characters, and halves of characters."""
    return _NOT_XML.sub("", words)


def _element(name: str, value: str) -> str:
    escaped = printable(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{escaped}]]></{name}>"
