"""Who the admins are: read from the setting, refused where it cannot be meant."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dialogue.errors import Misconfigured
from dialogue.messages import Address


class AdminAccount(NamedTuple):
    """What a person's id looks like on one channel; `hint` says it in words, `example` is one."""

    pattern: re.Pattern[str]
    hint: str
    example: str


def parse(setting: str) -> tuple[Address, ...]:
    """`channel:user id`, several with commas; raises `ValueError`, whose message shows no value."""
    return tuple(dict.fromkeys(address for _, address in _numbered(setting)))


def check(variable: str, setting: str, accounts: Mapping[str, AdminAccount]) -> None:
    """Raises `Misconfigured` for a channel that is not among `accounts`, or an id that cannot be one of it."""
    for number, address in _numbered(setting):
        account = accounts.get(address.channel)
        if account is None:
            names = ", ".join(f"{name}:" for name in accounts)
            example = "".join([f" as in {name}:{one.example}" for name, one in accounts.items()][:1])
            raise Misconfigured(f"{variable}: entry {number} must begin with one of {names}{example}")
        if account.pattern.fullmatch(address.chat_id) is None:
            raise Misconfigured(
                f"{variable}: entry {number} needs the user's id after {address.channel}: – {account.hint}"
            )


def _numbered(setting: str) -> Iterator[tuple[int, Address]]:
    for number, entry in enumerate(setting.split(","), start=1):
        if entry := entry.strip():
            channel, _, user_id = entry.partition(":")
            if not (channel and user_id):
                raise ValueError(f"entry {number} must be a channel, a colon and the user's id there")
            yield number, Address(channel=channel, chat_id=user_id)
