"""The loopback platforms as people use them."""

import random
from typing import Any

from tests.bot.telegram.loopback import Telegram
from tests.bot.wechat.gateway import Gateway
from tests.bot.wecom.loopback import WeCom

_REMEMBERED = 40
_REPEATED = 3


class OnTelegram:
    """Private chats with the bot."""

    name = "telegram"

    def __init__(self, server: Telegram) -> None:
        self._server = server
        self._told: list[dict[str, Any]] = []

    def write(self, who: int, text: str) -> None:
        self._server.write(who, text)
        self._told = [*self._told, *self._server.pending[-1:]][-_REMEMBERED:]

    def seen(self, who: int) -> list[str]:
        return self._server.texts(who)

    def repeat_some(self, chance: random.Random) -> None:
        for update in chance.sample(self._told, min(_REPEATED, len(self._told))):
            self._server.repeat(update)


class OnWeChat:
    """Friends of the account."""

    name = "wechat"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._told: list[str] = []

    def write(self, who: int, text: str) -> None:
        self._told = [*self._told, self._gateway.say(text, who=_contact(who))][-_REMEMBERED:]

    def seen(self, who: int) -> list[str]:
        return self._gateway.texts(_contact(who))

    def repeat_some(self, chance: random.Random) -> None:
        for message_id in chance.sample(self._told, min(_REPEATED, len(self._told))):
            self._gateway.tell(message_id)


def _contact(who: int) -> str:
    return f"wxid_{who}"


class OnWeCom:
    """Visitors of the customer-service account."""

    name = "wecom"

    def __init__(self, server: WeCom, *, more: str) -> None:
        """`more` is what stands at the end of the last text that may be sent."""
        self._server = server
        self._more = more
        self._told: list[str] = []

    def write(self, who: int, text: str) -> None:
        self._told = [*self._told, self._server.say(visitor(who), text)][-_REMEMBERED:]

    def seen(self, who: int) -> list[str]:
        """Several texts may have come in one message."""
        parts = (part for text in self._server.texts(visitor(who)) for part in text.split("\n\n"))
        return [part for part in parts if part != self._more]

    def repeat_some(self, chance: random.Random) -> None:
        for message_id in chance.sample(self._told, min(_REPEATED, len(self._told))):
            self._server.repeat(message_id)


def visitor(who: int) -> str:
    return f"wm{who}"
