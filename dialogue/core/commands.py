"""Commands to the bot itself; every channel answers them without the model."""

import re
from enum import Enum, auto

from care.normalise import normalise

END_WORDS = "结束对话"

_EDGE = re.compile(r"^(?:\[\w{1,8}\]|[^\w/]|_)+|(?:\[\w{1,8}\]|[^\w]|_)+$")
"""Emoji, also by their names in brackets as some apps have them, punctuation and blanks around a command."""
_TO_THE_BOT = re.compile(r"^\W*?@[a-z0-9_]{3,32}\s+(?=\S)|(?<=[^\sa-z0-9_])\s*@[a-z0-9_]{3,32}\W*$")
"""The bot's name before or behind words, where nobody else could be meant."""
_ANY_SLASH = re.compile(r"[/／][\w@]+(?P<rest>\s.*)?", re.DOTALL)
_SLASH_COMMAND = re.compile(r"/(?P<name>[A-Za-z][A-Za-z0-9_]*)(@\w+)?(?P<rest>\s.*)?", re.DOTALL)

_START_LINK = re.compile(r"/start(?:@\w+)?\s+(?P<label>[A-Za-z0-9_-]{1,64})")


class Command(Enum):
    """Each is the whole message, never a part of one."""

    END = auto()  # 结束对话: goodbye
    RESET = auto()  # start over
    START = auto()  # the first thing a platform sends
    HELP = auto()
    PRIVACY = auto()  # what is stored, for how long, and what a person can ask for
    WITHDRAW = auto()  # withdraws consent
    SHARE = auto()  # what the choice about training is, and how to make it
    SHARE_YES = auto()
    SHARE_NO = auto()
    EXPORT = auto()  # their own data, as files
    DELETE = auto()  # asks to have everything deleted; nothing happens yet
    CONFIRM_DELETE = auto()  # right after that: everything is deleted
    COMPLAIN = auto()  # followed by what is complained of
    CONTACT = auto()  # followed by whom to call in danger, or by a word that removes it
    UNKNOWN = auto()  # looks like a command, but is not one
    ADMIN = auto()  # an admin's order; to anyone else it is unknown


_BY_NAME = {
    "start": Command.START,
    "help": Command.HELP,
    "reset": Command.RESET,
    "end": Command.END,
    "stop": Command.END,
    "cancel": Command.END,
    "exit": Command.END,
    "quit": Command.END,
    "privacy": Command.PRIVACY,
    "export": Command.EXPORT,
    "delete": Command.DELETE,
    "complain": Command.COMPLAIN,
    "complaint": Command.COMPLAIN,
    "contact": Command.CONTACT,
    "withdraw": Command.WITHDRAW,
    "share": Command.SHARE,
}
_BY_WORDS = {
    END_WORDS: Command.END,
    "stop": Command.END,
    "停止": Command.END,
    "/停止": Command.END,
    "/结束": Command.END,
    "/退出": Command.END,
    "/重置": Command.RESET,
    "/重新开始": Command.RESET,
    "使用帮助": Command.HELP,
    "使用说明": Command.HELP,
    "/帮助": Command.HELP,
    "隐私说明": Command.PRIVACY,
    "/隐私": Command.PRIVACY,
    "隐私政策": Command.PRIVACY,
    "隐私声明": Command.PRIVACY,
    "privacy notice": Command.PRIVACY,
    "privacy policy": Command.PRIVACY,
    "/导出": Command.EXPORT,
    "/汇出": Command.EXPORT,
    "/删除": Command.DELETE,
    "确认删除": Command.CONFIRM_DELETE,
    "confirm delete": Command.CONFIRM_DELETE,
    "confirm deletion": Command.CONFIRM_DELETE,
    "投诉": Command.COMPLAIN,
    "我要投诉": Command.COMPLAIN,
    "/投诉": Command.COMPLAIN,
    "make a complaint": Command.COMPLAIN,
    "紧急联系人": Command.CONTACT,
    "紧急联络人": Command.CONTACT,
    "emergency contact": Command.CONTACT,
    "撤回同意": Command.WITHDRAW,
    "撤回我的同意": Command.WITHDRAW,
    "撤销同意": Command.WITHDRAW,
    "withdraw consent": Command.WITHDRAW,
    "withdraw my consent": Command.WITHDRAW,
    "revoke consent": Command.WITHDRAW,
    "revoke my consent": Command.WITHDRAW,
    "同意用于改进": Command.SHARE_YES,
    "不同意用于改进": Command.SHARE_NO,
}
"""In simplified characters, half width and lower case: `_folded` makes every other spelling one of these."""
_CONVERSATION = (
    r"(?:(?:本次|这次|此次|这个|此)?(?:对话|聊天|会话|谈话)| (?:the |this |my |our )?(?:conversation|chat|session))"
)
_DATA = (
    r"(?:(?:我的|所有|全部|我的所有|我所有的?|我的全部|我全部的?)?(?:数据|资料)"
    r"| (?:all (?:of )?)?(?:my )?(?:personal )?data)"
)
_BY_PHRASE = (
    (re.compile(rf"(?:结束|停止|终止|退出|end|stop|finish|quit){_CONVERSATION}"), Command.END),
    (re.compile(rf"(?:导出|汇出|export|download){_DATA}"), Command.EXPORT),
    (re.compile(rf"(?:删除|delete|erase){_DATA}"), Command.DELETE),
)
"""What may stand between a verb and its object changes nothing."""
_BEFORE_COLON = {
    "投诉": Command.COMPLAIN,
    "我要投诉": Command.COMPLAIN,
    "complaint": Command.COMPLAIN,
    "complain": Command.COMPLAIN,
    "紧急联系人": Command.CONTACT,
    "紧急联络人": Command.CONTACT,
    "emergency contact": Command.CONTACT,
}
_WITH_ARGUMENT = frozenset({Command.COMPLAIN, Command.CONTACT})
_WITH_COLON = re.compile(r"(?P<words>[^:：\n]{1,20})[:：](?P<rest>.*)", re.DOTALL)
_CHOICES = {
    **dict.fromkeys(("yes", "on", "同意"), Command.SHARE_YES),
    **dict.fromkeys(("no", "off", "不同意"), Command.SHARE_NO),
}
_CONFIRMING = {"confirm", "yes", "确认"}
_REMOVING = frozenset({"remove", "delete", "删除", "不要了", "取消"})


def source_label(text: str) -> str | None:
    """The label of a link to the bot (`/start LABEL`): where the link was published, never a person."""
    link = _START_LINK.fullmatch(text.strip())
    return link["label"] if link else None


def parse(text: str) -> Command | None:
    """The command that the whole message is, if it is one: in either script and width, with any emoji around it."""
    folded = _folded(text)
    words = _EDGE.sub("", folded)
    if (named := _named(words) or _named(_EDGE.sub("", _TO_THE_BOT.sub("", folded.strip())))) is not None:
        return named
    slash = _SLASH_COMMAND.fullmatch(folded.strip()) or _SLASH_COMMAND.fullmatch(words)
    if slash is not None:
        rest = _EDGE.sub("", (slash["rest"] or "").strip())
        return _chosen(_BY_NAME.get(slash["name"], Command.UNKNOWN), rest)
    colon = _WITH_COLON.fullmatch(folded.strip())
    if colon is None:
        return None
    before = _EDGE.sub("", colon["words"])
    slashed = _BY_NAME.get(before[1:]) if before.startswith("/") else None
    return slashed if slashed in _WITH_ARGUMENT else _BEFORE_COLON.get(before.removeprefix("/"))


def argument(text: str) -> str:
    """A command's argument: after `/name`, or after the colon of a command in words."""
    text = text.strip()
    slash = _ANY_SLASH.fullmatch(text)
    if slash is not None:
        return (slash["rest"] or "").strip()
    colon = _WITH_COLON.fullmatch(text)
    return colon["rest"].strip() if colon is not None else ""


def is_removal(words: str) -> bool:
    """Whether that argument of /contact removes the contact."""
    return _EDGE.sub("", _folded(words)) in _REMOVING


def _named(words: str) -> Command | None:
    """By words of any language; a slash before them is none of them."""
    bare = words.removeprefix("/")
    by_words = _BY_WORDS.get(words) or _BY_WORDS.get(bare)
    return by_words or next((command for phrase, command in _BY_PHRASE if phrase.fullmatch(bare)), None)


def _folded(text: str) -> str:
    """Half width, lower case, simplified characters, single blanks; without invisible characters."""
    simplified = normalise(text)
    return " ".join(simplified.split()) if "\n" not in simplified else simplified


def _chosen(command: Command, choice: str) -> Command:
    """Some commands are spelled as another one with an argument."""
    if command is Command.SHARE:
        return _CHOICES.get(choice, command)
    if command is Command.DELETE and choice in _CONFIRMING:
        return Command.CONFIRM_DELETE
    return command
