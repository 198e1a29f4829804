"""What an Official Account and we say to each other: encrypted pushes, passive replies, messages with their limits."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bot.channels.tencent.documents import fields as read_fields
from bot.channels.tencent.encryption import CallbackCipher
from tests.bot.tencent.api_server import Refusal
from tests.bot.wecom import wire as sealed

TOKEN = "mindglmKfToken2026"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APP_ID = "wx0123456789abcdef"
SECRET = "an-app-secret-that-no-log-may-show"
ACCOUNT = "gh_1a2b3c"

_MAX_BYTES = 2048
_NUMBER = re.compile(r"-?\d+")


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a person sees of one message of ours."""

    text: str
    kind: str = "text"
    choices: list[str] = field(default_factory=list)  # of a menu
    file: bytes = b""
    is_passive: bool = False
    answers: str = ""  # the message that an AI's answer belongs to
    number: int = 0  # after what paid for it
    allowed: int = 0


def cipher() -> CallbackCipher:
    """Ours, of the callback."""
    return CallbackCipher(token=TOKEN, aes_key=AES_KEY, receiver_id=APP_ID, key_variable="MINDGLM_OA_AES_KEY")


def encrypt(document: bytes, *, app_id: str = APP_ID, aes_key: str = AES_KEY, random: bytes | None = None) -> str:
    return sealed.encrypt(document, corp_id=app_id, aes_key=aes_key, random=random)


def signature(*parts: str, token: str = TOKEN) -> str:
    return hashlib.sha1("".join(sorted([token, *parts])).encode()).hexdigest()


def query(encrypted: str, *, timestamp: str, nonce: str = "1372623149", token: str = TOKEN, person: str = "") -> str:
    return urlencode(
        {
            "signature": signature(timestamp, nonce, token=token),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": person,
            "encrypt_type": "aes",
            "msg_signature": signature(timestamp, nonce, encrypted, token=token),
        }
    )


def plain_query(*, timestamp: str, nonce: str = "1372623149", **more: str) -> str:
    """Without encryption, and of the console's question."""
    return urlencode({"signature": signature(timestamp, nonce), "timestamp": timestamp, "nonce": nonce, **more})


def envelope(encrypted: str, *, beside: str = "") -> bytes:
    """`beside`: the clear fields of 兼容模式."""
    words = f"<ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>{beside}"
    return f"<xml>{words}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()


def document(fields: Mapping[str, str]) -> bytes:
    """One push in clear, as the platform writes it: numbers bare, everything else in CDATA."""
    return f"<xml>{''.join(_element(name, value) for name, value in fields.items())}</xml>".encode()


def _element(name: str, value: str) -> str:
    if _NUMBER.fullmatch(value) and name in ("CreateTime", "MsgId"):
        return f"<{name}>{value}</{name}>"
    escaped = value.replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{escaped}]]></{name}>"


def read_passive(body: bytes) -> dict[str, str]:
    """A passive reply's fields; raises what shows that the platform could not read it."""
    outer = read_fields(body)
    signed = signature(outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
    assert signed == outer["MsgSignature"], "the signature of the reply is wrong"
    return read_fields(cipher().decrypt(outer["Encrypt"].encode()))


def read_content(fields: Mapping[str, Any], files: Mapping[str, bytes]) -> Seen:
    """A message within the limits, as it is seen; raises `Refusal`."""
    answers = fields.get("aimsgcontext", {}).get("msgid", "")
    match fields["msgtype"]:
        case "text":
            text = fields["text"]["content"]
            check_length(text)
            return Seen(text=text, answers=answers)
        case "msgmenu":
            menu = fields["msgmenu"]
            text = menu["head_content"] + menu.get("tail_content", "")
            check_length(text)
            return Seen(text=text, kind="msgmenu", choices=[one["content"] for one in menu["list"]])
        case "image" | "voice" | "video" as kind:
            media_id = fields[kind]["media_id"]
            if media_id not in files or media_id.startswith("theirs-"):  # only what we have uploaded may be sent
                raise Refusal(40007, "invalid media_id")
            return Seen(text="", kind=kind, file=files[media_id])
    raise Refusal(48008, "no permission for this msgtype")


def check_length(text: str) -> None:
    if not text:
        raise Refusal(44004, "empty content")
    if len(text.encode()) > _MAX_BYTES:
        raise Refusal(45002, "content size out of limit")
