"""What of a message could be fetched: its pictures, voice, videos and files, of whatever kind they come in."""

from collections.abc import Iterator
from typing import Any

from bot.channels.telegram.raw import Raw, number, text
from dialogue.messages import MediumOffer
from dialogue.states import MediumKind

_KINDS = {
    "photo": MediumKind.IMAGE,
    "voice": MediumKind.VOICE,
    "audio": MediumKind.VOICE,
    "video": MediumKind.VIDEO,
    "video_note": MediumKind.VIDEO,
    "animation": MediumKind.VIDEO,
    "document": MediumKind.FILE,
    "live_photo": MediumKind.IMAGE,
    "paid_media": MediumKind.FILE,
    "rich_message": MediumKind.FILE,
    "sticker": MediumKind.IMAGE,
}
"""By the field of a message, in the order in which one of two that are the same is taken: a GIF is a document too."""

_PREVIEWS = frozenset({"thumbnail", "thumb", "cover"})
_MAX_DEPTH = 4
_MAX_OFFERS = 20


def offers_of(message: Raw) -> tuple[MediumOffer, ...]:
    """Each once, the largest size of a picture."""
    found: dict[str, MediumOffer] = {}
    for name, kind in _KINDS.items():
        for offer in _in(message.get(name), kind):
            found.setdefault(offer.mark, offer)
    return tuple(found.values())[:_MAX_OFFERS]


def _in(value: Any, kind: MediumKind, depth: int = 0) -> Iterator[MediumOffer]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        sizes = [one for one in value if _is_size(one)]
        if sizes:  # of one picture
            value = [max(sizes, key=_area), *(one for one in value if not _is_size(one))]
        for one in value:
            yield from _in(one, kind, depth + 1)
    elif isinstance(value, dict):
        if file_id := text(value, "file_id"):
            yield MediumOffer(
                kind=kind,
                reference=file_id,
                mark=text(value, "file_unique_id") or file_id,
                name=text(value, "file_name"),
                size=_size(value),
            )
        for name, part in value.items():
            if name not in _PREVIEWS and isinstance(part, dict | list):
                yield from _in(part, _KINDS.get(str(name), kind), depth + 1)


def _is_size(value: Any) -> bool:
    """Of a PhotoSize: a picture comes in several."""
    return isinstance(value, dict) and bool(text(value, "file_id")) and "width" in value and "mime_type" not in value


def _area(size: Raw) -> int:
    return (number(size, "width") or 0) * (number(size, "height") or 0)


def _size(file: Raw) -> int | None:
    size = number(file, "file_size")
    return size if size is not None and size >= 0 else None
