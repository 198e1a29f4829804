"""The menu under the account's chat: its buttons are commands. A menu that the operator made is left alone.

https://developers.weixin.qq.com/doc/service/guide/product/menu/intro.html: names of 16 bytes, below of 60.
"""

from typing import Any

from care.texts import Texts

_COMMANDS = {
    "hotlines": "/help",
    "help": "/help",
    "privacy": "/privacy",
    "end": "/end",
    "export": "/export",
    "erase": "/delete",
}
"""What each button stands for; one that nobody knows gets help. The answer to /help names the hotlines."""


def command_of(button: str) -> str:
    return _COMMANDS.get(button, _COMMANDS["help"])


def menu(texts: Texts) -> dict[str, Any]:
    """For `menu/create`."""

    def button(key: str) -> dict[str, str]:
        return {"type": "click", "name": texts.say(f"menu_{key}"), "key": key}

    def under(name: str, *keys: str) -> dict[str, Any]:
        return {"name": texts.say(f"menu_{name}"), "sub_button": [button(key) for key in keys]}

    return {"button": [button("hotlines"), under("talk", "end", "help"), under("data", "privacy", "export", "erase")]}
