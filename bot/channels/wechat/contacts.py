"""Names and kinds of contacts, looked up once."""

from collections import OrderedDict

from bot.channels.wechat.connection import Connection
from bot.channels.wechat.puppet import Puppet, PuppetTrouble

_OFFICIAL = 2
"""`types.Contact.Official` of wechaty-puppet: an official account, not a person."""

_MAX_KEPT = 5000


class Contacts:
    """Names and kinds of contacts; raises `LineBroken` where it has to ask and cannot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: OrderedDict[str, tuple[str, int]] = OrderedDict()

    async def is_person(self, contact_id: str) -> bool:
        """Unknown contacts count as people: better one reply too many than a person ignored."""
        _, kind = await self._get(await self._connection.wait_until_up(), contact_id)
        return kind != _OFFICIAL

    async def name(self, contact_id: str) -> str:
        """What others see of them; may be empty."""
        name, _ = await self._get(self._connection.puppet, contact_id)
        return name

    async def _get(self, puppet: Puppet, contact_id: str) -> tuple[str, int]:
        if contact_id in self._kept:
            self._kept.move_to_end(contact_id)
            return self._kept[contact_id]
        try:
            payload = await puppet.call("contact_payload", id=contact_id)
        except PuppetTrouble:
            return "", 0
        self._kept[contact_id] = (payload.name, int(payload.type))
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return self._kept[contact_id]
