"""Which proxy a request takes: a setting of our own, else the variables that everybody knows; loopback takes none.

Clients are told the result and look at no variables themselves, so that what is refused can be named truly.
"""

import ipaddress
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from dialogue.errors import Misconfigured

_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy, and the name of the setting or variable that names it. Its URL may hold a password."""

    url: str = field(repr=False)
    source: str


def choose(target_url: str, setting: SecretStr | None, *, variable: str) -> Proxy | None:
    """The proxy for requests to `target_url`, None for none. Raises `Misconfigured` for one that cannot be used."""
    if setting is not None and setting.get_secret_value().strip():
        return _usable(setting.get_secret_value().strip(), variable)
    target = urlsplit(target_url)
    if is_loopback(target.hostname or ""):
        return None
    named = urllib.request.getproxies_environment()
    if urllib.request.proxy_bypass_environment(target.netloc.rpartition("@")[2], named):  # type: ignore[attr-defined]  # typeshed lacks it
        return None
    for scheme in (target.scheme, "all"):
        if named.get(scheme):
            return _usable(named[scheme], f"{scheme.upper()}_PROXY")
    return None


def is_loopback(host: str) -> bool:
    """Whether that host is this machine itself."""
    if host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _usable(url: str, source: str) -> Proxy:
    if "://" not in url:
        url = f"http://{url}"
    scheme, _, place = url.strip().partition("://")
    scheme = {"socks": "socks5"}.get(scheme.lower(), scheme.lower())  # as desktops write it
    url = f"{scheme}://{place}"
    parts = urlsplit(url)
    if scheme not in _SCHEMES:
        raise Misconfigured(
            f"{source} names a proxy of the kind {scheme}://, which is not supported; use {', '.join(_SCHEMES)}."
        )
    try:
        has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_place = False
    if not has_place:
        raise Misconfigured(f"{source} is no proxy's URL; example: socks5://127.0.0.1:1080")
    return Proxy(url=url, source=source)
