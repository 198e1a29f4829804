"""Who the admins are: read from the setting, refused where it cannot be meant."""

import re

from dialogue.messages import Address

_ACCOUNTS = {"telegram": re.compile(r"[1-9]\d{0,19}"), "wechat": re.compile(r"[^\s:/]{1,200}")}
"""The channels on which an admin can be reached, and what an account's id looks like there."""


def parse(setting: str) -> tuple[Address, ...]:
    """`channel:user id`, several with commas; raises `ValueError`, whose message shows no value."""
    entries = [entry.strip() for entry in setting.split(",")]
    return tuple(dict.fromkeys(_admin(number, entry) for number, entry in enumerate(entries, start=1) if entry))


def _admin(number: int, entry: str) -> Address:
    channel, _, user_id = entry.partition(":")
    if channel not in _ACCOUNTS:
        raise ValueError(
            f"entry {number} must begin with one of {', '.join(f'{name}:' for name in _ACCOUNTS)} "
            "as in telegram:123456789"
        )
    if _ACCOUNTS[channel].fullmatch(user_id) is None:
        hint = "a number, not a @name (the bot @userinfobot tells it)" if channel == "telegram" else "one word"
        raise ValueError(f"entry {number} needs the user's id after {channel}: – {hint}")
    return Address(channel=channel, chat_id=user_id)
