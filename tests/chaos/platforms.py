"""The loopback platforms as people use them."""

import random
from typing import Any

from tests.bot.oa.loopback import OfficialAccount
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.wire import BOT
from tests.bot.wechat.gateway import Gateway
from tests.bot.wecom.loopback import WeCom

_REMEMBERED = 40
_REPEATED = 3
_GROUP_IDS = 5_000


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

    def chat_ids(self, who: int) -> list[str]:
        return [str(who)]

    def repeat_some(self, chance: random.Random) -> None:
        for update in chance.sample(self._told, min(_REPEATED, len(self._told))):
            self._server.repeat(update)


class InGroups:
    """Groups on Telegram, in each of which one person talks with the bot, by its name."""

    name = "telegram"

    def __init__(self, server: Telegram, groups: dict[int, list[int]]) -> None:
        """`groups` are the ids that each person's group has had, the present one last."""
        self._server = server
        self._groups = groups
        self._told: list[dict[str, Any]] = []

    def found(self, who: int) -> None:
        """Somebody adds the bot to a group of theirs."""
        self._groups[who] = [-_GROUP_IDS - who]

    def write(self, who: int, text: str) -> None:
        ids = self._groups[who]
        chat = {"id": ids[-1], "type": "group" if len(ids) == 1 else "supergroup", "title": "组"}
        self._server.message(who, chat, text=f"@{BOT['username']} {text}")
        self._told = [*self._told, *self._server.pending[-1:]][-_REMEMBERED:]

    def seen(self, who: int) -> list[str]:
        return [text for chat_id in self._groups[who] for text in self._server.texts(chat_id)]

    def chat_ids(self, who: int) -> list[str]:
        return [f"{chat_id}/{who}" for chat_id in self._groups[who]]

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

    def chat_ids(self, who: int) -> list[str]:
        return [_contact(who)]

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

    def chat_ids(self, who: int) -> list[str]:
        return [visitor(who)]

    def repeat_some(self, chance: random.Random) -> None:
        for message_id in chance.sample(self._told, min(_REPEATED, len(self._told))):
            self._server.repeat(message_id)


class OnOa:
    """Followers of the Official Account."""

    name = "oa"

    def __init__(self, server: OfficialAccount, *, more: str) -> None:
        """`more` is what stands at the end of the last text that may be sent."""
        self._server = server
        self._more = more
        self._told: list[str] = []

    def write(self, who: int, text: str) -> None:
        self._told = [*self._told, self._server.say(follower(who), text)][-_REMEMBERED:]

    def seen(self, who: int) -> list[str]:
        """Several texts may have come in one message."""
        parts = (part for text in self._server.texts(follower(who)) for part in text.split("\n\n"))
        return [part for part in parts if part != self._more]

    def chat_ids(self, who: int) -> list[str]:
        return [follower(who)]

    def repeat_some(self, chance: random.Random) -> None:
        for message_id in chance.sample(self._told, min(_REPEATED, len(self._told))):
            self._server.repeat(message_id)


def follower(who: int) -> str:
    return f"o{who}"


def visitor(who: int) -> str:
    return f"wm{who}"
