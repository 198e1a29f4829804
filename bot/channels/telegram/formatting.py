"""The model's Markdown as Telegram's entities; plain words where Telegram does not take them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog
from telegram.error import BadRequest

from bot.outgoing.markdown import render
from bot.outgoing.measure import Measure
from dialogue.messages import OwedText
from dialogue.states import DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()

T = TypeVar("T")

Entities = Sequence[dict[str, Any]]
"""MessageEntity of the Bot API."""

_MAX_UNITS = 4096
_REFUSALS = ("entit", "parse")


async def send_formatted(text: OwedText, send: Callable[[str, Entities | None], Awaitable[T]]) -> T:
    """Send a text, a reply with its formatting. Raises what `send` raises."""
    if text.kind is not DeliveryKind.REPLY:
        return await send(text.text, None)
    rendered = render(text.text)
    if Measure.UTF16.of(rendered.text) > _MAX_UNITS:  # a table may have grown
        return await send(text.text, None)
    entities = [{"type": one.kind, "offset": one.offset, "length": one.length} for one in rendered.styles]
    try:
        return await send(rendered.text, entities or None)
    except BadRequest as error:
        if not entities or not any(word in error.message.lower() for word in _REFUSALS):
            raise
        log.warning("formatting_refused")
    return await send(rendered.text, None)
