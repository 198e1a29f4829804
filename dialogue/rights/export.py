"""A person's own data as two files: JSON for machines, and a text to read. Both say what a model wrote."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from care.course import Course
from care.texts import Texts
from dialogue.rights.personal_data import Line, PersonalData, Speaker, Talk

FORMAT = "mindglm-export/1"

_AS_JSON = TypeAdapter(Course)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file by its name; `content` is UTF-8."""

    name: str
    content: bytes = field(repr=False)


def files(data: PersonalData, texts: Texts, *, now: datetime) -> tuple[File, File]:
    """The text first, then the JSON."""
    stem = f"mindglm-export-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"
    return (
        File(name=f"{stem}.txt", content=as_text(data, texts, now=now).encode()),
        File(name=f"{stem}.json", content=as_json(data, texts, now=now).encode()),
    )


def as_json(data: PersonalData, texts: Texts, *, now: datetime) -> str:
    """Every field that is kept, with times in UTC (ISO 8601)."""
    document = {
        "format": FORMAT,
        "made_at": now.isoformat(),
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
        "conversations": [_talk(talk) for talk in data.talks],
        "outside_conversations": [_line(line) for line in data.outside],
        "complaints": [
            {"made_at": _iso(one.made_at), "settled_at": _iso(one.settled_at), "text": one.text}
            for one in data.grievances
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_text(data: PersonalData, texts: Texts, *, now: datetime) -> str:
    """The same for people: what was said, in order, and by whom."""
    parts = [
        texts.say("export_title", at=_minute(now)),
        texts.say("disclosure_export"),
        texts.say("export_person", channel=data.channel, user_id=data.user_id, since=_minute(data.known_since)),
    ]
    if data.emergency_contact is not None:
        parts.append(texts.say("export_contact", text=data.emergency_contact))
    for number, talk in enumerate(data.talks, start=1):
        ended = _minute(talk.closed_at) if talk.closed_at is not None else texts.say("export_still_open")
        parts.append("\n" + texts.say("export_conversation", number=number, began=_minute(talk.opened_at), ended=ended))
        if talk.is_purged:
            parts.append(texts.say("export_purged"))
        parts.extend(_readable(line, texts) for line in talk.lines)
    if data.outside:
        parts.append("\n" + texts.say("export_outside"))
        parts.extend(_readable(line, texts) for line in data.outside)
    parts.extend(texts.say("export_complaint", at=_minute(one.made_at), text=one.text) for one in data.grievances)
    return "\n".join(parts) + "\n"


def _talk(talk: Talk) -> dict[str, Any]:
    return {
        "opened_at": _iso(talk.opened_at),
        "closed_at": _iso(talk.closed_at),
        "risk": {
            "tier": talk.tier,
            "course": _AS_JSON.dump_python(talk.course, mode="json") if talk.course is not None else None,
        },
        "texts_deleted": talk.is_purged,
        "lines": [_line(line) for line in talk.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "at": _iso(line.at),
        "by": line.speaker,
        "ai_generated": line.speaker is Speaker.MODEL,
        "text": line.text,
    }
    if line.speaker is Speaker.MODEL:
        entry |= {"model": line.model_version, "rating": line.rating}
    return entry


def _readable(line: Line, texts: Texts) -> str:
    return texts.say(f"export_by_{line.speaker}", at=_minute(line.at), text=line.text)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
