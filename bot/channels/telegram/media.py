"""What of a message could be fetched: its pictures, voice, videos and files, of whatever kind they come in."""

from collections.abc import Iterator
from typing import Any

from bot.channels.telegram.raw_fields import Raw, number, section, text
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
_POLE, _DATE_LINE = 90, 180
_MAX_DEPTH = 4
_MAX_OFFERS = 20


def offers_of(message: Raw) -> tuple[MediumOffer, ...]:
    """Each once, the largest size of a picture."""
    found: dict[str, MediumOffer] = {}
    for name, kind in _KINDS.items():
        for offer in _in(message.get(name), kind):
            found.setdefault(offer.mark, offer)
    named = [_only_named(name) for name in (_place(message), _contact(message)) if name]
    return (*tuple(found.values())[:_MAX_OFFERS], *named)


def _only_named(name: str) -> MediumOffer:
    """There is no file to fetch; what can be said of it is its name."""
    return MediumOffer(kind=MediumKind.FILE, reference="", mark=name, name=name)


def _place(message: Raw) -> str:
    where = section(message, "location")
    latitude, longitude = where.get("latitude"), where.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return ""
    if not (abs(latitude) <= _POLE and abs(longitude) <= _DATE_LINE):
        return ""
    return f"\N{ROUND PUSHPIN} {latitude:.5f}, {longitude:.5f}"


def _contact(message: Raw) -> str:
    contact = section(message, "contact")
    known = [text(contact, name) for name in ("first_name", "last_name", "phone_number")]
    return "\N{BUST IN SILHOUETTE} " + " ".join(filter(None, known)) if any(known) else ""


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
