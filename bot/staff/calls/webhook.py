"""Sends a call by a webhook: signed JSON for a pager or a script, or the form that a group robot takes.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): receivers verify it with its libraries.
Group robots: https://developer.work.weixin.qq.com/document/path/91770 and
https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urldefrag

from dialogue.admin.cases.escalation import CaseCallDue
from dialogue.admin.cases.escalation_list import Callee

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request

_TIMEOUT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 64 * 1024
_PREFIX = "whsec_"
_EVENT = "case.unattended"

Body = dict[str, object]


class CallRefused(OSError):
    """The other side answered, and did not take it; its message is a short name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCalls:
    """Where calls go by HTTP. `secret` signs those that are for no group robot."""

    secret: bytes | None = field(default=None, repr=False)

    def send(self, call: CaseCallDue, callee: Callee, *, now: datetime) -> None:
        """Raises `OSError`: not reached, or `CallRefused`."""
        url, robot_secret = urldefrag(callee.target)
        form = FORMS[callee.form]
        body = json.dumps(form(call, robot_secret, now), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "mindglm"}
        if not callee.form and self.secret is not None:
            headers |= signature(self.secret, call.id.hex, int(now.timestamp()), body)
        try:
            with _opener().open(_posted(url, body, headers), timeout=_TIMEOUT_SECONDS) as answer:
                said = answer.read(_MAX_ANSWER_BYTES)
        except HTTPError as error:
            with error:
                raise CallRefused(f"http_{error.code}") from None
        if callee.form:
            _check_robot(said)


def key(secret: str) -> bytes:
    """The bytes of `whsec_` and base64, or of any other text."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{digest}"}


def _plain(call: CaseCallDue, _secret: str, now: datetime) -> Body:
    facts: Body = {**call.facts, "summary": call.subject, "text": call.text}
    return {"type": _EVENT, "timestamp": now.isoformat(), "data": facts}


def _wecom(call: CaseCallDue, _secret: str, _now: datetime) -> Body:
    return {"msgtype": "text", "text": {"content": call.text, "mentioned_list": ["@all"]}}


def _feishu(call: CaseCallDue, secret: str, now: datetime) -> Body:
    body: Body = {"msg_type": "text", "content": {"text": call.text}}
    if not secret:
        return body
    timestamp = str(int(now.timestamp()))
    digest = hmac.digest(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256)  # the text is the key, as they ask
    return body | {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}


FORMS: dict[str, Callable[[CaseCallDue, str, datetime], Body]] = {"": _plain, "wecom": _wecom, "feishu": _feishu}


def _check_robot(said: bytes) -> None:
    """Group robots refuse with status 200."""
    try:
        answer = json.loads(said)
    except ValueError:
        raise CallRefused("no_json") from None
    code = answer.get("errcode", answer.get("code", 0)) if isinstance(answer, dict) else 0
    if code:
        raise CallRefused(f"code_{code}"[:64])


def _posted(url: str, body: bytes, headers: dict[str, str]) -> "Request":
    from urllib.request import Request

    return Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - checked when parsed


@cache
def _opener() -> "OpenerDirector":
    """A signed body goes where the operator said, and nowhere else: any redirect is an `HTTPError`."""
    import urllib.request  # only where it is used: every adapter has this module, few call a webhook

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener
