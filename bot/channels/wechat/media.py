"""What a person sent besides words, fetched for a human who is not on WeChat.

A puppet hands a file over as its content, or as an address where it can be fetched:
https://github.com/huan/file-box
"""

import base64
import binascii
import json
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bot.channels.wechat.puppet import PuppetTrouble
from bot.incoming.medium_fetcher import MediumUnavailable
from dialogue.states import MediumLoss

_SECONDS = 20.0
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_CONTENT, _ADDRESS = 1, 2


class UnknownFile(Exception):
    """The puppet hands it over in a form that we do not know."""


def read(filebox: str, max_bytes: int) -> bytes:
    """The content of a file as a puppet describes it. Blocks, at most for half a minute or so.

    Raises `MediumUnavailable`; `UnknownFile` and `OSError` for what may be different the next time.
    """
    described = _described(filebox)
    kind = described.get("boxType", described.get("type"))
    if kind == _CONTENT:
        return _decoded(described.get("base64"), max_bytes)
    if kind == _ADDRESS:
        headers = described.get("headers")
        return _fetched(described.get("remoteUrl") or described.get("url"), headers, max_bytes)
    raise UnknownFile(str(kind))


def meaning(trouble: PuppetTrouble) -> MediumUnavailable | PuppetTrouble:
    """A puppet that knows no such message, or has no such call, never will."""
    losses = {
        "not_found": MediumLoss.GONE,
        "unimplemented": MediumLoss.REFUSED,
        "permission_denied": MediumLoss.REFUSED,
    }
    loss = losses.get(str(trouble))
    return trouble if loss is None else MediumUnavailable(loss)


def _described(filebox: str) -> dict[str, Any]:
    try:
        described = json.loads(filebox)
    except (ValueError, RecursionError):
        raise UnknownFile("no JSON") from None
    if not isinstance(described, dict):
        raise UnknownFile(type(described).__name__)
    return described


def _decoded(content: object, max_bytes: int) -> bytes:
    if not isinstance(content, str):
        raise UnknownFile("no content")
    if len(content) * 3 // 4 > max_bytes + 2:
        raise MediumUnavailable(MediumLoss.TOO_LARGE)
    try:
        return base64.b64decode(content, validate=False)
    except binascii.Error:
        raise UnknownFile("no base64") from None


def _fetched(url: object, headers: object, max_bytes: int) -> bytes:
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise UnknownFile("no address")
    given = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    try:
        with urlopen(Request(url, headers=given), timeout=_SECONDS) as answer:  # noqa: S310 - http and https alone
            content: bytes = answer.read(max_bytes + 1)
    except HTTPError as error:
        status = error.code
        error.close()
        if status in _GONE:
            raise MediumUnavailable(MediumLoss.GONE) from None
        raise UnknownFile(f"HTTP {status}") from None
    except ValueError:
        raise UnknownFile("no address") from None
    if len(content) > max_bytes:
        raise MediumUnavailable(MediumLoss.TOO_LARGE)
    return content
