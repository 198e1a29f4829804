"""What a person may say to the bot itself; answered in every channel without the model."""

import re
from enum import Enum, auto

END_WORDS = "结束对话"

_SURROUNDINGS = " \t\n\r\u3000。．.!！?？~～…,，、;；:：\"'“”‘’「」『』"
_SLASH_COMMAND = re.compile(r"/(?P<name>[A-Za-z][A-Za-z0-9_]*)(@\w+)?(?P<rest>\s.*)?", re.DOTALL)

_START_LINK = re.compile(r"/start(?:@\w+)?\s+(?P<label>[A-Za-z0-9_-]{1,64})")


class Command(Enum):
    """Each is the whole message, never a part of one."""

    END = auto()  # 结束对话: goodbye
    RESET = auto()  # start over
    START = auto()  # the first thing a platform sends
    HELP = auto()
    PRIVACY = auto()  # what is stored, for how long, and what a person can ask for
    WITHDRAW = auto()  # no longer agrees
    SHARE = auto()  # what the choice about training is, and how to make it
    SHARE_YES = auto()
    SHARE_NO = auto()
    UNKNOWN = auto()  # begins like a command and is none
    ADMIN = auto()  # an admin's order; to anyone else it is unknown


_BY_NAME = {
    "start": Command.START,
    "help": Command.HELP,
    "reset": Command.RESET,
    "privacy": Command.PRIVACY,
    "withdraw": Command.WITHDRAW,
    "share": Command.SHARE,
}
_BY_WORDS = {
    END_WORDS: Command.END,
    "撤回同意": Command.WITHDRAW,
    "同意用于改进": Command.SHARE_YES,
    "不同意用于改进": Command.SHARE_NO,
}
_CHOICES = {"yes": Command.SHARE_YES, "on": Command.SHARE_YES, "no": Command.SHARE_NO, "off": Command.SHARE_NO}


def source_label(text: str) -> str | None:
    """What a link to the bot said about where it stood: `/start LABEL`. Labels name places, never people."""
    link = _START_LINK.fullmatch(text.strip())
    return link["label"] if link else None


def parse(text: str) -> Command | None:
    """The command that the whole message is, if it is one."""
    words = text.strip(_SURROUNDINGS)
    if words in _BY_WORDS:
        return _BY_WORDS[words]
    slash = _SLASH_COMMAND.fullmatch(text.strip())
    if slash is None:
        return None
    command = _BY_NAME.get(slash["name"].lower(), Command.UNKNOWN)
    if command is Command.SHARE:
        return _CHOICES.get((slash["rest"] or "").strip().lower(), command)
    return command
