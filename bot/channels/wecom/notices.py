"""The notices that WeCom posts."""

from dataclasses import dataclass

from bot.channels.tencent.documents import fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SomethingCame:
    """There are messages or events of an account; `pull_token` lets us fetch them for ten minutes."""

    account: str
    pull_token: str


@dataclass(frozen=True, slots=True)
class AccountsChanged:
    """Accounts were given to our app, or taken from it."""


@dataclass(frozen=True, slots=True)
class Other:
    """Nothing of ours."""


Notice = SomethingCame | AccountsChanged | Other


def read(document: bytes) -> Notice:
    """A decrypted notice; raises `NotForUs`."""
    found = fields(document)
    match found.get("Event"):
        case "kf_msg_or_event" if found.get("OpenKfId"):
            return SomethingCame(account=found["OpenKfId"], pull_token=found.get("Token", ""))
        case "kf_account_auth_change":
            return AccountsChanged()
    return Other()
