"""A person's data as two files: JSON for machines and a text for reading. Both mark what a model wrote.

Pictures, voice and files that were kept for a human are in a third, an archive.

An export too large for one message is split into parts, each a complete export of a span of time. Messages written or
deleted while the parts are sent therefore neither duplicate nor lose anything else.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from care.course import Course
from care.texts import Texts
from dialogue.core import medium_words
from dialogue.core.media import SeenMedium
from dialogue.rights.personal_data import ExportLine, ExportSpeaker, PersonalData, Talk
from dialogue.states import MediumState

FORMAT = "mindglm-export/1"

_AS_JSON = TypeAdapter(Course)
_BESIDE_TEXT_BYTES = 600
"""Overhead of one line in both files: times, names, a model's version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file by its name; `content` is UTF-8, or what a person showed."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The span (`after`, `until`]; None means unbounded."""

    number: int = 1
    count: int = 1
    after: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        return (self.after is None or at > self.after) and (self.until is None or at <= self.until)

    def written(self) -> str:
        """For `read`."""
        return _AS_PART.dump_json(self).decode()

    @staticmethod
    def read(written: str) -> "Part":
        return _AS_PART.validate_json(written)


_AS_PART = TypeAdapter(Part)
WHOLE = Part()

Contents = Mapping[UUID, bytes]
"""What was kept of the media that go with the files, by id."""
_NONE: Contents = {}


def parts(data: PersonalData, *, max_bytes: int) -> list[Part]:
    """Spans of time whose files are together at most `max_bytes`; a line is never split."""
    ends: list[datetime] = []
    size, last_at = 0, None
    for at, line_size in sorted(_sizes(data, max_bytes=max_bytes)):
        if last_at is not None and at > last_at and size + line_size > max_bytes:
            ends.append(last_at)
            size = 0
        size, last_at = size + line_size, at
    limits = [None, *ends, None]
    count = len(ends) + 1
    return [
        Part(number=number, count=count, after=after, until=until)
        for number, (after, until) in enumerate(pairwise(limits), start=1)
    ]


def media_of(data: PersonalData, part: Part = WHOLE, *, max_bytes: int | None = None) -> list[SeenMedium]:
    """What was kept of pictures, voice and files in that span, and fits into files of so many bytes."""
    lines = (line for talk in data.talks for line in talk.lines if part.holds(line.at))
    return [line.medium for line in lines if line.medium is not None and _fits(line.medium, max_bytes)]


def files(
    data: PersonalData, texts: Texts, *, part: Part = WHOLE, contents: Contents = _NONE, now: datetime
) -> tuple[File, ...]:
    """The text first, then the JSON, then the archive of `contents`, if there are any."""
    stem = f"mindglm-export-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"
    if part.count > 1:
        stem += f"-part-{part.number}-of-{part.count}"
    written = (
        File(name=f"{stem}.txt", content=as_text(data, texts, part=part, contents=contents, now=now).encode()),
        File(name=f"{stem}.json", content=as_json(data, texts, part=part, contents=contents, now=now).encode()),
    )
    shown = [one for one in media_of(data, part) if one.id in contents]
    return (*written, File(name=f"{stem}-media.zip", content=_archive(shown, contents))) if shown else written


def as_json(data: PersonalData, texts: Texts, *, part: Part = WHOLE, contents: Contents = _NONE, now: datetime) -> str:
    """Every stored field, with times in UTC (ISO 8601)."""
    data = _only(data, part)
    document = {
        "format": FORMAT,
        "made_at": now.isoformat(),
        **({"part": {"number": part.number, "of": part.count}} if part.count > 1 else {}),
        "notice": texts.say("disclosure_export"),
        "person": {
            "channel": data.channel,
            "user_id": data.user_id,
            "known_since": _iso(data.known_since),
            "consent": {"version": data.consent_version, "given_at": _iso(data.consented_at)},
            "training_consent_given_at": _iso(data.training_consented_at),
            "age_band": data.age_band,
            "emergency_contact": data.emergency_contact,
        },
        "conversations": [_talk(talk, contents) for talk in data.talks],
        "outside_conversations": [_line(line, contents) for line in data.outside],
        "complaints": [
            {"made_at": _iso(one.made_at), "settled_at": _iso(one.settled_at), "text": one.text}
            for one in data.grievances
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_text(data: PersonalData, texts: Texts, *, part: Part = WHOLE, contents: Contents = _NONE, now: datetime) -> str:
    """The same as readable text: what was said, in order, and by whom."""
    data = _only(data, part)
    lines = [
        texts.say("export_title", at=_minute(now)),
        *([texts.say("export_part", number=part.number, count=part.count)] if part.count > 1 else []),
        texts.say("disclosure_export"),
        texts.say("export_person", channel=data.channel, user_id=data.user_id, since=_minute(data.known_since)),
    ]
    if data.emergency_contact is not None:
        lines.append(texts.say("export_contact", text=data.emergency_contact))
    for number, talk in enumerate(data.talks, start=1):
        ended = _minute(talk.closed_at) if talk.closed_at is not None else texts.say("export_still_open")
        lines.append("\n" + texts.say("export_conversation", number=number, began=_minute(talk.opened_at), ended=ended))
        if talk.is_purged:
            lines.append(texts.say("export_purged"))
        lines.extend(_readable(line, texts, contents) for line in talk.lines)
    if data.outside:
        lines.append("\n" + texts.say("export_outside"))
        lines.extend(_readable(line, texts, contents) for line in data.outside)
    lines.extend(texts.say("export_complaint", at=_minute(one.made_at), text=one.text) for one in data.grievances)
    return "\n".join(lines) + "\n"


def _only(data: PersonalData, part: Part) -> PersonalData:
    """A conversation without a line in the span is listed in the part in which it was opened."""
    if part.count == 1:
        return data
    talks = [
        replace(talk, lines=tuple(line for line in talk.lines if part.holds(line.at)))
        for talk in data.talks
        if part.holds(talk.opened_at) or any(part.holds(line.at) for line in talk.lines)
    ]
    return replace(
        data,
        talks=tuple(talks),
        outside=tuple(line for line in data.outside if part.holds(line.at)),
        grievances=tuple(one for one in data.grievances if part.holds(one.made_at)),
    )


def _sizes(data: PersonalData, *, max_bytes: int) -> Iterator[tuple[datetime, int]]:
    """Bytes in all files of everything said, by time."""
    for talk in data.talks:
        yield talk.opened_at, _BESIDE_TEXT_BYTES
        for line in talk.lines:
            yield line.at, _size(line.text) + _kept_size(line.medium, max_bytes)
    for line in data.outside:
        yield line.at, _size(line.text)
    for one in data.grievances:
        yield one.made_at, _size(one.text)


def _fits(medium: SeenMedium, max_bytes: int | None) -> bool:
    size = medium.size or 0
    return medium.state is MediumState.KEPT and (max_bytes is None or size + _BESIDE_TEXT_BYTES <= max_bytes)


def _kept_size(medium: SeenMedium | None, max_bytes: int) -> int:
    return medium.size or 0 if medium is not None and _fits(medium, max_bytes) else 0


def _archive(shown: list[SeenMedium], contents: Contents) -> bytes:
    """Not compressed: pictures and voice are already."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for one in shown:
            archive.writestr(_name_in_archive(one), contents[one.id])
    return packed.getvalue()


def _name_in_archive(medium: SeenMedium) -> str:
    """Of their names several may be the same."""
    return f"{medium.received_at:%Y%m%d-%H%M%S}-{medium.id.hex[-6:]}-{medium_words.file_name(medium)}"


def _size(text: str) -> int:
    return len(text.encode()) + len(json.dumps(text, ensure_ascii=False).encode()) + _BESIDE_TEXT_BYTES


def _talk(talk: Talk, contents: Contents) -> dict[str, Any]:
    return {
        "opened_at": _iso(talk.opened_at),
        "closed_at": _iso(talk.closed_at),
        "risk": {
            "tier": talk.tier,
            "course": _AS_JSON.dump_python(talk.course, mode="json") if talk.course is not None else None,
        },
        "texts_deleted": talk.is_purged,
        "lines": [_line(line, contents) for line in talk.lines],
    }


def _line(line: ExportLine, contents: Contents) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "at": _iso(line.at),
        "by": line.speaker,
        "ai_generated": line.speaker is ExportSpeaker.MODEL,
        "text": line.text,
    }
    if line.speaker is ExportSpeaker.MODEL:
        entry |= {"model": line.model_version, "rating": line.rating}
    if line.medium is not None:
        entry["medium"] = _medium(line.medium, contents)
    return entry


def _medium(medium: SeenMedium, contents: Contents) -> dict[str, Any]:
    """`file`: its name in the archive, if it is there."""
    return {
        "kind": medium.kind,
        "name": medium.name or None,
        "state": medium.state,
        "lost_because": medium.loss,
        "bytes": medium.size,
        "content_type": medium.content_type,
        "file": _name_in_archive(medium) if medium.id in contents else None,
    }


def _readable(line: ExportLine, texts: Texts, contents: Contents) -> str:
    text = line.text if line.medium is None else _shown(line.medium, texts, contents)
    return texts.say(f"export_by_{line.speaker}", at=_minute(line.at), text=text)


def _shown(medium: SeenMedium, texts: Texts, contents: Contents) -> str:
    words = medium_words.in_brackets(medium, texts)
    if medium.id in contents:
        return texts.say("export_medium_in", text=words, file=_name_in_archive(medium))
    return texts.say("export_medium_elsewhere", text=words) if medium.state is MediumState.KEPT else words


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
