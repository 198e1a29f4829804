"""Markdown in a model's replies: rendered where a platform can show it, taken out where it cannot. HTML is taken out.

Only a text that really holds Markdown is touched; the library is loaded with the first of them.
"""

import html
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from bot.outgoing.courier import Sender
from bot.outgoing.measure import Measure
from dialogue.messages import OwedText
from dialogue.states import DeliveryKind

if TYPE_CHECKING:
    from telegramify_markdown.config import RenderConfig

_MARKUP = re.compile(
    r"^\s{0,3}#{1,6}\s+\S"  # a heading
    r"|\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*|__[^\s_](?:[^_\n]*[^\s_])?__"  # strong
    r"|(?<![A-Za-z0-9*])\*[^\s*](?:[^*\n]*[^\s*])?\*(?![A-Za-z0-9*])"  # emphasis
    r"|`[^`\n]+`|^\s*```|~~[^~\n]+~~"  # code, struck out
    r"|\[[^\]\n]+\]\([^)\s]+\)"  # a link
    r"|^\s{0,3}>\s*\S|^\s*\|.+\|\s*$|^\s{0,3}(?:---+|\*\*\*+|___+)\s*$"  # a quote, a table, a rule
    r"|^\s{0,3}\*\s+\S",  # a list
    re.MULTILINE,
)
_LINK = re.compile(r"!?\[([^\]\n]+)\]\(([^)\s]+)\)")
_BEGINNING = re.compile(r"[*_#`~>|\[\]<&-]")
_LINE_TAG = re.compile(r"[ \t]*<(?:br\s*/?|/(?:p|li|div|tr|h[1-6]))>[ \t]*\n?", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:p|b|strong|i|em|u|s|ul|ol|li|div|span|font|center|small|sub|sup|code|pre|blockquote|table|tr|td|th|h[1-6]|a|hr)"
    r"(?:\s+[a-z-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'))*\s*/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:nbsp|lt|gt|amp|quot|apos|hellip|mdash|ldquo|rdquo|#39|#x27|#34|#8203);")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a part of the text is shown; `offset` and `length` in UTF-16 units."""

    kind: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A text without its markup, and how its parts are shown."""

    text: str
    styles: tuple[Style, ...] = ()


def render(text: str) -> Rendered:
    """Links stay visible as words and address: nobody is led to a place that they cannot see."""
    text = _without_html(text)
    if _MARKUP.search(text) is None:
        return Rendered(text=text)
    from telegramify_markdown import convert

    shown, entities = convert(_LINK.sub(r"\1 (\2)", text), latex_escape=False, config=_configuration())
    shown = shown.rstrip()
    length = Measure.UTF16.of(shown)
    styles = (
        Style(kind=one.type, offset=one.offset, length=min(one.length, length - one.offset))
        for one in entities
        if one.type in _KINDS
    )
    return Rendered(text=shown, styles=tuple(one for one in styles if one.length > 0)) if shown else Rendered(text=text)


def _without_html(text: str) -> str:
    if "<" in text:
        text = _TAG.sub("", _LINE_TAG.sub("\n", text)).strip("\n") or text
    return _ENTITY.sub(lambda entity: html.unescape(entity.group()), text) if "&" in text else text


def plain(text: str) -> str:
    """The same words without markup."""
    return render(text).text


def plain_so_far(text: str) -> str:
    """Of a text that still grows: a last line that may hold unfinished markup waits until it is complete."""
    whole, line_break, last = text.rpartition("\n")
    if _BEGINNING.search(last) is None:
        return plain(text)
    return plain(whole) if line_break else ""


class PlainWords:
    """A sender for a platform that shows texts as they are: the model's replies lose their markup."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.name = sender.name

    async def send(self, text: OwedText) -> str | None:
        if text.kind is DeliveryKind.REPLY:
            text = replace(text, text=plain(text.text))
        return await self._sender.send(text)


_KINDS = frozenset({"bold", "italic", "underline", "strikethrough", "code", "pre", "blockquote"})


@cache
def _configuration() -> "RenderConfig":
    """No signs of the library's own before headings and in lists."""
    from telegramify_markdown.config import RenderConfig

    chosen = RenderConfig.isolated()
    symbols: Any = chosen.markdown_symbol
    for level in range(1, 7):
        setattr(symbols, f"heading_level_{level}", "")
    symbols.unordered_list_item = "•"
    symbols.link = symbols.image = ""
    return chosen
