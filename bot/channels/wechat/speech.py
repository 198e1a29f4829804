"""What a person says in a WeChat text: a quote is not their words, and markup of the web client is an emoji."""

import html
import re
import sys
from dataclasses import dataclass, field

_QUOTE = re.compile(r"\s*「(?P<quoted>[^\n]*?(?:\n.*?)?)」\s*\n(?:[-—–] ?){3,}[-—– ]*\n(?P<own>.*)", re.DOTALL)
"""「name：words」, a dashed line, and the answer below it."""
_AUTHOR = re.compile(r"(?P<author>[^：:\n]{1,64})[：:]\s?(?P<words>.*)", re.DOTALL)
_EMOJI = re.compile(
    r"<(?:img|span)[^>]*?\bclass=[\"']emoji\s+emoji(?P<code>[0-9a-f]{4,24})[\"'][^>]*>(?:</span>)?", re.IGNORECASE
)
_STICKER = re.compile(r"<img[^>]*?\btext=[\"'](?P<name>\[[^\]\"']{1,20}\])(?:_web)?[\"'][^>]*>", re.IGNORECASE)
_LINE_END = re.compile(r"<br\s*/?>|\r\n?", re.IGNORECASE)
_INVISIBLE = "\ufeff\u200b\u2060"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """`own` are the person's words; `quoted` are those of somebody else in a room, which the bot has not heard."""

    own: str = field(repr=False)
    quoted: str = field(default="", repr=False)


def read(text: str, *, is_room: bool, account_name: str) -> Speech:
    """In a private chat only the two of them are there to be quoted, and their words are known."""
    author, quoted, own = _parted(_LINE_END.sub("\n", text).lstrip(_INVISIBLE))
    is_known = not is_room or bool(account_name and author == account_name)
    return Speech(own=_plain(own), quoted="" if is_known else _plain(quoted))


def _parted(text: str) -> tuple[str, str, str]:
    """Who is quoted, what they said, and the person's own words."""
    if found := _QUOTE.fullmatch(text):
        author = _AUTHOR.fullmatch(found["quoted"])
        return (author["author"], author["words"], found["own"]) if author else ("", found["quoted"], found["own"])
    if "<refermsg>" in text and text.lstrip().startswith("<"):  # some puppets hand a quote over as WeChat sends it
        before, _, reference = text.partition("<refermsg>")
        if own := _element(before, "title"):
            return _element(reference, "displayname"), _element(reference, "content"), own
    return "", "", text


def _element(markup: str, name: str) -> str:
    found = re.search(
        rf"<{name}(?:\s[^<>]*)?>(?:<!\[CDATA\[(?P<raw>.*?)\]\]>|(?P<escaped>[^<]*))</{name}>", markup, re.DOTALL
    )
    if found is None:
        return ""
    return found["raw"] if found["raw"] is not None else html.unescape(found["escaped"])


def _plain(text: str) -> str:
    text = _EMOJI.sub(lambda found: _character(found["code"]), text)
    return _STICKER.sub(lambda found: html.unescape(found["name"]), text)


def _character(code: str) -> str:
    """`1f60a`, or several characters in a row as for flags: `1f1e81f1f3`."""
    width = 5 if len(code) % 5 == 0 else 4
    points = [int(code[at : at + width], 16) for at in range(0, len(code), width)]
    return "".join(chr(point) for point in points if point <= sys.maxunicode)
