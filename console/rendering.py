"""Templates: everything is escaped, a missing value is an error, texts come from the locale files."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from care.texts import Texts
from console import audit_wording
from dialogue.states import Role

if TYPE_CHECKING:
    from console.page_request import PageRequest

_SHORT = len("01a1fc79-09ca")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Templates:
    """Renders `console/templates/*.html`."""

    def __init__(self) -> None:
        self._environment = _environment()

    def render(self, template: str, visit: "PageRequest", values: dict[str, Any]) -> str:
        return self._environment.get_template(template).render(_context(visit) | values)


@cache
def _environment() -> Environment:
    """One for the process: it keeps the compiled templates."""
    environment = Environment(
        loader=PackageLoader("console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    return environment


def _context(visit: "PageRequest") -> dict[str, Any]:
    notice = visit.query("notice")
    return {
        "t": visit.words.say,
        "has": visit.words.sentences.__contains__,
        "channel_name": lambda name: visit.channels.get(name, name),
        "locale": visit.locale,
        "zone": visit.zone.key,
        "when": lambda moment: when(moment, visit.zone),
        "ago": lambda moment: ago(moment, visit.now, visit.words),
        "duration": lambda seconds: duration(seconds, visit.words),
        "short": short,
        "actor_name": lambda name: audit_wording.actor(visit.words, name),
        "why_of": lambda entry: audit_wording.reason(visit.words, entry.action, entry.reason),
        "now": visit.now,
        "who": visit.who,
        "provider_label": _provider_label(visit),
        "may": _permission(visit),
        "path": visit.request.url.path,
        "form_token": known.form_token() if (known := visit.who or visit.idle) else "",
        "notice": f"notice_{notice}" if f"notice_{notice}" in visit.words.sentences else None,
    }


def _provider_label(visit: "PageRequest") -> str:
    """What the single sign-on is called; empty if there is none."""
    provider = visit.services.provider
    return "" if provider is None else provider.label or visit.words.say("oidc_label")


def _permission(visit: "PageRequest") -> Callable[[str], bool]:
    return lambda role: visit.may(Role(role))


def short(row_id: UUID) -> str:
    """The first characters of an id, up to the millisecond; search and `/admin` accept them."""
    return str(row_id)[:_SHORT]


def when(moment: datetime | None, zone: ZoneInfo) -> str:
    return "–" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def ago(moment: datetime | None, now: datetime, words: Texts) -> str:
    """How long ago, in one unit."""
    if moment is None:
        return "–"
    return words.say("ago", duration=duration((now - moment).total_seconds(), words))


def duration(seconds: float | None, words: Texts) -> str:
    """A length of time in one unit."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 10:  # noqa: PLR2004 - below ten the tenth matters
        return words.say("seconds", count=f"{seconds:.1f}")
    for unit, length in (("days", 2 * _DAY), ("hours", 2 * _HOUR), ("minutes", 2 * _MINUTE)):
        if seconds >= length:
            return words.say(unit, count=round(seconds / (length / 2)))
    return words.say("seconds", count=round(seconds))


@cache
def static(name: str) -> str:
    """The cacheable path of a static file; it changes with the content."""
    content = (files("console") / "static" / name).read_bytes()
    return f"/static/{name}?{sha256(content).hexdigest()[:12]}"
