"""Listens to whatever leaves a process: nothing that somebody wrote may be found in it.

A text is looked for in every spelling that a log, a message or a key could give it: as it is, as JSON and MONITOR
escape it, percent-encoded, and inside base64 at each of the three alignments.
"""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

from redis import Redis

from dialogue.broker.signals import redis_url as in_redis_form

_CJK = re.compile(r"[\u4e00-\u9fff]|\\+u[4-9][0-9a-f]{3}|(?:\\+x[0-9a-f]{2}){6}", re.IGNORECASE)
_MIN_LENGTH = 4
_BASE64_BYTES = 3
_BACKSLASH = b"\\"


def leaks(texts: Iterable[str], heard: bytes) -> list[str]:
    """Those of the texts that can be found; shorter ones than four characters prove nothing."""
    folded = heard.lower().replace(_BACKSLASH, b"")  # however often it was escaped
    return [
        text
        for text in set(texts)
        if len(text) >= _MIN_LENGTH
        and (any(form in folded for form in _plain_forms(text)) or any(form in heard for form in _base64_forms(text)))
    ]


def chinese_in(log: str) -> list[str]:
    """Lines of a log that hold any Chinese: we log in English, so it can only be somebody's words."""
    return [line for line in log.splitlines() if _CJK.search(line)]


def _plain_forms(text: str) -> list[bytes]:
    """Without backslashes and in lower case."""
    raw = text.encode()
    return [
        raw.lower(),
        json.dumps(text)[1:-1].lower().encode().replace(_BACKSLASH, b""),
        "".join(f"x{byte:02x}" for byte in raw).encode(),
        quote(text).lower().encode(),
        text.encode("utf-16-le"),
    ]


def _base64_forms(text: str) -> list[bytes]:
    """The part of its base64 that does not depend on what stands before and after it."""
    forms = []
    for offset in range(_BASE64_BYTES):
        encoded = base64.b64encode(b"\0" * offset + text.encode())
        forms.append(encoded[4 if offset else 0 : -4])
    return forms


class Ears:
    """Hears every command that a Redis is given, publications too, while it is open."""

    def __init__(self, broker_url: str) -> None:
        self._url = in_redis_form(broker_url)
        self._line = self._connect()
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._line.sendall(b"MONITOR\r\n")
        assert self._line.recv(5) == b"+OK\r\n"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def heard(self) -> bytes:
        """All that was heard so far, and all that is stored now."""
        with Redis.from_url(self._url) as redis:
            redis.ping()
            stored = [part for key in redis.keys("*") for part in (key, redis.dump(key) or b"")]
        return b"\n".join([*self._chunks, *stored])

    def _connect(self) -> socket.socket:
        url = urlsplit(self._url)
        if url.scheme == "unix":
            line = socket.socket(socket.AF_UNIX)
            line.connect(url.path)
            return line
        return socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379))

    def _listen(self) -> None:
        while chunk := self._line.recv(1 << 16):
            self._chunks.append(chunk)


def files(*roots: Path) -> bytes:
    """Every file below these directories, as bytes."""
    return b"\n".join(file.read_bytes() for root in roots for file in sorted(root.rglob("*")) if file.is_file())
