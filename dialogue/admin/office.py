"""Who acts, and what the use cases of staff need besides the session."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from care.texts import Texts
from dialogue.messages import Address
from dialogue.process import admins
from dialogue.process.settings import DialogueSettings
from dialogue.storage.vault import MasterKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something: `name` goes into the audit. `address`: the chat to which a person's words are relayed."""

    name: str
    address: Address | None = None

    @classmethod
    def at(cls, address: Address) -> "Actor":
        """An admin who writes from a private chat."""
        return cls(name=f"{address.channel}:{address.chat_id}", address=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What the use cases need besides the session.

    `admins`: the chats to which alerts go, by any of our accounts. A private chat has the id of its person.
    `case_minutes`: after so long without anybody who attends to a case, the next on the escalation list is called.
    `zone`: the operator's, for the times that staff are told. `console_url`: where the console is opened, if anywhere.
    """

    keys: MasterKeys = field(repr=False)
    texts: Texts
    admins: tuple[Address, ...] = ()
    case_minutes: int = 5
    zone: tzinfo = UTC
    console_url: str | None = None

    @classmethod
    def of(cls, settings: DialogueSettings, keys: MasterKeys, texts: Texts) -> Self:
        """As the operator has set it up."""
        return cls(
            keys=keys,
            texts=texts,
            admins=admins.parse(settings.admins),
            case_minutes=settings.case_minutes,
            zone=ZoneInfo(settings.console_time_zone),
            console_url=settings.console_url,
        )

    def is_admin(self, channel: str, user_id: str) -> bool:
        """Whether that person is one of the admins."""
        return Address(channel=channel, chat_id=user_id) in self.admins

    def clock_time(self, moment: datetime) -> str:
        """A time as staff are told it in a message: where the operator is, with the offset from UTC."""
        local = moment.astimezone(self.zone)
        return f"{local:%m-%d %H:%M} (UTC{local:%z})" if local.utcoffset() else f"{local:%m-%d %H:%M} UTC"

    def link(self, conversation_id: UUID | None) -> str:
        """Where the console shows that conversation; empty without a console URL."""
        if self.console_url is None or conversation_id is None:
            return ""
        return f"{self.console_url}/conversations/{conversation_id}"
