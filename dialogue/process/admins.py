"""Parses the list of admins in the settings and rejects entries that cannot be valid."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dialogue.errors import Misconfigured
from dialogue.messages import Address


class AdminAccount(NamedTuple):
    """The form of a user id on one channel; `hint` describes it, `example` is one."""

    pattern: re.Pattern[str]
    hint: str
    example: str


def parse(setting: str) -> tuple[Address, ...]:
    """`channel:user id`, separated by commas. Raises `ValueError`, whose message shows no value."""
    return tuple(dict.fromkeys(address for _, address in _numbered(setting)))


def check(variable: str, setting: str, accounts: Mapping[str, AdminAccount]) -> None:
    """Raises `Misconfigured` for a channel missing from `accounts`, or an id of the wrong form for its channel."""
    for number, address in _numbered(setting):
        check_one(variable, number, address, accounts)


def check_one(variable: str, number: int, address: Address, accounts: Mapping[str, AdminAccount]) -> None:
    """The same for one entry of a list that names others too."""
    account = accounts.get(address.channel)
    if account is None:
        names = ", ".join(f"{name}:" for name in accounts)
        example = "".join([f" as in {name}:{one.example}" for name, one in accounts.items()][:1])
        raise Misconfigured(f"{variable}: entry {number} must begin with one of {names}{example}")
    if account.pattern.fullmatch(address.chat_id) is None:
        raise Misconfigured(f"{variable}: entry {number} needs the user's id after {address.channel}: – {account.hint}")


def _numbered(setting: str) -> Iterator[tuple[int, Address]]:
    for number, entry in enumerate(setting.split(","), start=1):
        if entry := entry.strip():
            channel, _, user_id = entry.partition(":")
            if not (channel and user_id):
                raise ValueError(f"entry {number} must be a channel, a colon and the user's id there")
            yield number, Address(channel=channel, chat_id=user_id)
