"""Parses the list of those who are called one after another while nobody attends to a case."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dialogue.errors import Misconfigured
from dialogue.messages import Address

if TYPE_CHECKING:
    from dialogue.process.settings import DialogueSettings

_MAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class CallBy(StrEnum):
    """How somebody is called."""

    CONSOLE = "console"  # a member of staff, wherever they have the console open
    CHAT = "chat"  # an admin, in their private chat
    MAIL = "mail"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """One entry. `label` may be shown; `target` may hold a secret. `form`: the shape of a webhook's body.

    `number`: its place in the setting, from 1.
    """

    by: CallBy
    label: str
    target: str = field(repr=False)
    form: str = ""
    number: int = 0

    @property
    def address(self) -> Address:
        """The chat of a `CHAT` entry."""
        channel, _, chat_id = self.target.partition(":")
        return Address(channel=channel, chat_id=chat_id)


def of(settings: "DialogueSettings") -> tuple[Callee, ...]:
    """The operator's; raises `Misconfigured`."""
    try:
        return parse(settings.escalation.get_secret_value() if settings.escalation else "")
    except ValueError as error:
        raise Misconfigured(f"MINDGLM_ESCALATION: {error}") from None


def parse(setting: str) -> tuple[Callee, ...]:
    """`console:name`, `channel:user id`, `mailto:address`, `https://…` or `form+https://…`, separated by commas.

    Raises `ValueError`, whose message shows no value.
    """
    return tuple(_entries(setting))


def chats(addresses: tuple[Address, ...]) -> tuple[Callee, ...]:
    """The list if none was given: the admins, each in their chat."""
    names = [f"{address.channel}:{address.chat_id}" for address in addresses]
    return tuple(Callee(by=CallBy.CHAT, label=name, target=name) for name in names)


def _entries(setting: str) -> Iterator[Callee]:
    for number, entry in enumerate(setting.split(","), start=1):
        if entry := entry.strip():
            yield replace(_entry(number, entry), number=number)


def _entry(number: int, entry: str) -> Callee:
    scheme, colon, rest = entry.partition(":")
    if not (colon and rest):
        raise ValueError(f"entry {number} must be console:name, channel:user id, mailto:address or an https URL")
    if scheme == "console":
        name = unicodedata.normalize("NFKC", rest).strip().casefold()  # as the console keeps it
        return Callee(by=CallBy.CONSOLE, label=f"console:{name}", target=name)
    if scheme == "mailto":
        if _MAIL.fullmatch(rest) is None:
            raise ValueError(f"entry {number} is no e-mail address")
        return Callee(by=CallBy.MAIL, label=entry, target=rest)
    if rest.startswith("//"):
        return _webhook(number, scheme, rest)
    return Callee(by=CallBy.CHAT, label=entry, target=entry)


def _webhook(number: int, scheme: str, rest: str) -> Callee:
    form, _, protocol = scheme.rpartition("+")
    url = urlsplit(f"{protocol}:{rest}")
    if url.hostname is None or (protocol != "https" and not (protocol == "http" and url.hostname in _LOOPBACK)):
        raise ValueError(f"entry {number} must be an https URL")
    joint = f"{form}+" if form else ""
    return Callee(by=CallBy.WEBHOOK, label=f"{joint}{protocol}://{url.hostname}", target=url.geturl(), form=form)
