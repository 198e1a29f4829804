"""What a person may say to the bot itself; answered in every channel without the model."""

import re
from enum import Enum, auto

END_WORDS = "结束对话"

_SURROUNDINGS = " \t\n\r\u3000。．.!！?？~～…,，、;；:：\"'“”‘’「」『』"
_SLASH_COMMAND = re.compile(r"/(?P<name>[A-Za-z][A-Za-z0-9_]*)(@\w+)?(\s.*)?", re.DOTALL)


class Command(Enum):
    """Each is the whole message, never a part of one."""

    END = auto()  # 结束对话: goodbye
    RESET = auto()  # start over
    START = auto()  # the first thing a platform sends
    HELP = auto()
    UNKNOWN = auto()  # begins like a command and is none


_BY_NAME = {"start": Command.START, "help": Command.HELP, "reset": Command.RESET}


def parse(text: str) -> Command | None:
    """The command that the whole message is, if it is one."""
    if text.strip(_SURROUNDINGS) == END_WORDS:
        return Command.END
    slash = _SLASH_COMMAND.fullmatch(text.strip())
    if slash is None:
        return None
    return _BY_NAME.get(slash["name"].lower(), Command.UNKNOWN)
