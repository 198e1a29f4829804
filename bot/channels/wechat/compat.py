"""Makes wechaty 0.10.7, the last release, importable on Python 3.11 and newer.

Import this before anything of wechaty; what we need of it can be imported from here.

Importing it opens no port and writes nothing: what wechaty would put into the current directory goes to a directory
of ours, and nothing below an error is logged, because wechaty logs what people say at "info".
"""

import importlib
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

CACHE_DIRECTORY = Path(tempfile.gettempdir()) / f"mindglm-wechaty-{os.getuid()}"
"""Where wechaty's plugins may write, which we do not use; created by the first write."""


def install() -> None:
    """Apply every patch; idempotent."""
    os.environ["WECHATY_LOG"] = "error"
    os.environ.setdefault("CACHE_DIR", str(CACHE_DIRECTORY))
    # wechaty_puppet.config makes ./.wechaty as soon as it is imported
    _provide("wechaty_puppet.config", CACHE_DIR=str(CACHE_DIRECTORY), get_or_create_dir=os.path.join)
    _bring_back("pyee", "AsyncIOEventEmitter", _event_emitter)  # pyee 12 moved it to pyee.asyncio
    _bring_back("urllib3", "get_host", _get_host)  # urllib3 2 removed it
    if sys.version_info >= (3, 13):
        _provide("telnetlib", Telnet=_Telnet)  # Python 3.13 removed it
    _make_hashable("wechaty_puppet.schemas.puppet", "PuppetOptions")  # Python 3.11 wants that of a field's default


@contextmanager
def _without_ipv6() -> Iterator[None]:
    """urllib3 tries out IPv6 by binding a port while it is imported; nothing here ever fetches by it."""
    has_ipv6, socket.has_ipv6 = socket.has_ipv6, False
    try:
        yield
    finally:
        socket.has_ipv6 = has_ipv6


def _provide(module: str, **names: object) -> None:
    if module not in sys.modules:
        provided = ModuleType(module)
        vars(provided).update(names)
        sys.modules[module] = provided


def _bring_back(module: str, name: str, make: Any) -> None:
    imported = importlib.import_module(module)
    if not hasattr(imported, name):
        setattr(imported, name, make())


def _make_hashable(module: str, name: str) -> None:
    """Hash by identity, as before dataclasses checked for it."""
    options = getattr(importlib.import_module(module), name)
    if options.__hash__ is None:
        options.__hash__ = object.__hash__


def _event_emitter() -> object:
    return importlib.import_module("pyee.asyncio").AsyncIOEventEmitter


def _get_host() -> object:
    from urllib3.util.url import parse_url

    def get_host(url: str) -> tuple[str, str | None, int | None]:
        parsed = parse_url(url)
        return parsed.scheme or "http", parsed.hostname, parsed.port

    return get_host


class _Telnet:
    """All that wechaty does with it: see whether a port is open."""

    def open(self, host: str, port: int = 0, timeout: float = 3) -> None:
        socket.create_connection((host, port), timeout).close()


def _quietly() -> AbstractContextManager[object]:
    """stringcase, which betterproto needs, has escapes that newer Pythons warn about."""
    return warnings.catch_warnings(action="ignore")


with _quietly(), _without_ipv6():
    install()
    from wechaty_grpc.wechaty import PuppetStub
    from wechaty_puppet import PuppetOptions
    from wechaty_puppet_service import PuppetService

__all__ = ["PuppetOptions", "PuppetService", "PuppetStub", "install"]
