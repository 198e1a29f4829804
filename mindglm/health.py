"""`mindglm health`: asks a running process whether it is ready, for health checks in places without curl."""

import json
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from bot.channels import registry
from dialogue.errors import Misconfigured
from dialogue.process.ports import port_of
from dialogue.process.proxies import is_loopback
from dialogue.process.settings import DialogueSettings

_PATIENCE_SECONDS: Final = 5.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, nothing listens there


def run(settings: DialogueSettings, target: str) -> int:
    """Print what `target`, a kind of process or a URL, says; 0 if it is ready, else 1. Raises `Misconfigured`."""
    url = target if target.startswith(("http://", "https://")) else _url(settings, target)
    try:
        with _opener(url).open(url, timeout=_PATIENCE_SECONDS) as answer:
            return _tell(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        return _tell(error.code, error.read())
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return _tell(0, json.dumps({"ready": False, "url": url, "error": str(reason)}).encode() + b"\n")


def _opener(url: str) -> urllib.request.OpenerDirector:
    """A process on this machine is never asked through a proxy."""
    is_here = is_loopback(urlsplit(url).hostname or "")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_here else []))


def _url(settings: DialogueSettings, kind: str) -> str:
    offsets = registry.metrics_offsets()
    if kind not in offsets:
        raise Misconfigured(f"`mindglm health` knows {', '.join(offsets)}, or a URL; not {kind}.")
    port = port_of(offsets[kind], settings)
    if port is None:
        raise Misconfigured("MINDGLM_METRICS_PORT is not set: no process can be asked.")
    host = _EVERYWHERE.get(settings.metrics_host, settings.metrics_host)
    return f"http://{host}:{port}/readyz"


def _tell(status: int, body: bytes) -> int:
    sys.stdout.write(body.decode("utf-8", "replace"))
    return 0 if status == HTTPStatus.OK else 1
