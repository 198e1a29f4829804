"""What WeCom and we say to each other: encrypted notices, messages with their limits, refusals."""

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from bot.channels.tencent.encryption import CallbackCipher
from tests.bot.tencent.api_server import Refusal

TOKEN = "mindglmKfToken2026"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CORP_ID = "ww0123456789abcdef"
SECRET = "a-secret-that-no-log-may-show"
ACCOUNT = "wkAAAA0001"

_MESSAGE_ID = re.compile(r"[0-9a-zA-Z_-]{1,32}")


@dataclass(slots=True, kw_only=True)
class Sent:
    """What a person sees of one message of ours."""

    message_id: str
    text: str
    choices: list[str] = field(default_factory=list)  # ids of a menu
    file: bytes = b""
    kind: str = "text"
    number: int = 0  # after the person's last message; 0: by a code
    state: int = 0


def cipher() -> CallbackCipher:
    """Ours, of the callback."""
    return CallbackCipher(token=TOKEN, aes_key=AES_KEY, receiver_id=CORP_ID, key_variable="MINDGLM_WECOM_AES_KEY")


def encrypt(message: bytes, *, corp_id: str = CORP_ID, aes_key: str = AES_KEY, random: bytes | None = None) -> str:
    framed = (random or os.urandom(16)) + len(message).to_bytes(4) + message + corp_id.encode()
    padding = 32 - len(framed) % 32
    key = base64.b64decode(aes_key + "=")
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(framed + bytes([padding]) * padding) + encryptor.finalize()).decode()


def signature(encrypted: str, timestamp: str, nonce: str, token: str = TOKEN) -> str:
    return hashlib.sha1("".join(sorted([token, timestamp, nonce, encrypted])).encode()).hexdigest()


def query(encrypted: str, *, timestamp: str = "1796000000", nonce: str = "1372623149", **more: str) -> str:
    signed = signature(encrypted, timestamp, nonce)
    return urlencode({"msg_signature": signed, "timestamp": timestamp, "nonce": nonce, **more})


def envelope(encrypted: str) -> bytes:
    words = f"<ToUserName><![CDATA[{CORP_ID}]]></ToUserName><AgentID>1</AgentID>"
    return f"<xml>{words}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()


def notice(account: str, pull_token: str, *, at: int) -> bytes:
    fields = {
        "ToUserName": CORP_ID,
        "MsgType": "event",
        "Event": "kf_msg_or_event",
        "Token": pull_token,
        "OpenKfId": account,
    }
    inside = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
    return f"<xml>{inside}<CreateTime>{at}</CreateTime></xml>".encode()


def check_message_id(message_id: str) -> None:
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Refusal(40058, "invalid msgid")


def read_content(fields: Mapping[str, Any], files: Mapping[str, bytes]) -> Sent:
    """A message within the limits, as it is seen; raises `Refusal`."""
    message_id = fields["msgid"]
    match fields["msgtype"]:
        case "text":
            text = fields["text"]["content"]
            _check(text, 2048, "text.content")
            return Sent(message_id=message_id, text=text)
        case "file" | "image" | "voice" | "video" as kind:
            media_id = fields[kind]["media_id"]
            if media_id not in files or media_id.startswith("theirs-"):  # only what we have uploaded may be sent
                raise Refusal(40007, "invalid media_id")
            return Sent(message_id=message_id, text="", file=files[media_id], kind=kind)
        case "msgmenu":
            return _menu(message_id, fields["msgmenu"])
    raise Refusal(40008, "invalid msgtype")


def _menu(message_id: str, menu: Mapping[str, Any]) -> Sent:
    _check(menu.get("head_content", ""), 1024, "head_content")
    if not 1 <= len(menu["list"]) <= 10:
        raise Refusal(95008, "menu list")
    text = menu.get("head_content", "")
    choices = []
    for item in menu["list"]:
        if item["type"] == "text":
            _check(item["text"]["content"], 256, "menu text")
            text += item["text"]["content"]
        else:
            _check(item["click"]["id"], 64, "menu id")
            _check(item["click"]["content"], 128, "menu content")
            choices.append(item["click"]["id"])
    return Sent(message_id=message_id, text=text, choices=choices)


def _check(text: str, limit: int, name: str) -> None:
    if not 0 < len(text.encode()) <= limit:
        raise Refusal(40058, f"{name} is empty or too long")
