"""People. A person's row is locked during intake, so that their messages are processed one at a time."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ScalarSelect, bindparam, func, select, update
from sqlalchemy.orm import Session

from care.age import AgeBand
from care.visit import Visit
from dialogue.states import ClosedBy
from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import new_id
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, MESSAGES, PEOPLE


def _heard_since(moment: str) -> ScalarSelect[int]:
    """Counts messages that reached the model, not those that were refused or that we answered ourselves."""
    return (
        select(func.count())
        .select_from(MESSAGES)
        .where(
            MESSAGES.c.person_id == PEOPLE.c.id,
            MESSAGES.c.turn_id.is_not(None),
            MESSAGES.c.received_at > bindparam(moment, type_=MESSAGES.c.received_at.type),
        )
        .scalar_subquery()
    )


# FOR NO KEY UPDATE: a worker that writes this person's delivery need not wait for their next message
_LOCKED = (
    select(
        PEOPLE.c.id,
        PEOPLE.c.data_key,
        PEOPLE.c.consent_version,
        PEOPLE.c.asked_version,
        PEOPLE.c.asked_at,
        PEOPLE.c.declined_at,
        PEOPLE.c.training_consented_at,
        PEOPLE.c.age_band,
        PEOPLE.c.blocked_at,
        PEOPLE.c.visit_began_at,
        PEOPLE.c.heard_at,
        PEOPLE.c.reminded_at,
        PEOPLE.c.labelled_at,
        PEOPLE.c.course,
        PEOPLE.c.language,
        _heard_since("a_minute_ago").label("heard_last_minute"),
        _heard_since("a_day_ago").label("heard_last_day"),
    )
    .where(PEOPLE.c.channel == bindparam("channel"), PEOPLE.c.user_id == bindparam("user_id"))
    .with_for_update(key_share=True)
)
_WHAT_WE_KNOW = (
    "consent_version",
    "consented_at",
    "asked_version",
    "asked_at",
    "declined_at",
    "training_consented_at",
    "age_band",
    "visit_began_at",
    "heard_at",
    "reminded_at",
    "labelled_at",
    "blocked_at",
    "alerts_muted_at",
    "language",
    "course",
)
_SET_ASIDE = (
    update(PEOPLE)
    .where(PEOPLE.c.id == bindparam("person_id"))
    .values(
        user_id=bindparam("new_user_id"),
        erased_at=func.coalesce(PEOPLE.c.erased_at, bindparam("now", type_=PEOPLE.c.erased_at.type)),
        data_key=None,
        **dict.fromkeys(_WHAT_WE_KNOW),
    )
)
_STAY_BLOCKED = (
    update(PEOPLE)
    .where(PEOPLE.c.channel == bindparam("of_channel"), PEOPLE.c.user_id == bindparam("of_user"))
    .values(blocked_at=bindparam("since"))
)
_END_THEIRS = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.person_id == bindparam("of_person"), CONVERSATIONS.c.closed_at.is_(None))
    .values(closed_at=bindparam("now"), closed_by=ClosedBy.ADMIN)
)
_SPEAKS = update(PEOPLE).where(PEOPLE.c.id == bindparam("person_id")).values(language=bindparam("new_language"))
_DATA_KEY = select(PEOPLE.c.data_key).where(PEOPLE.c.id == bindparam("person_id"))
_LANGUAGE = select(PEOPLE.c.language).where(PEOPLE.c.id == bindparam("person_id"))
_DATA_KEYS = select(PEOPLE.c.id, PEOPLE.c.data_key).where(PEOPLE.c.id.in_(bindparam("person_ids", expanding=True)))
_NEWEST = (
    select(PEOPLE.c.id, PEOPLE.c.data_key).where(PEOPLE.c.data_key.is_not(None)).order_by(PEOPLE.c.id.desc()).limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How many of a person's recent messages reached the model."""

    last_minute: int = 0
    last_day: int = 0


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person, the key to their texts, and their status."""

    id: UUID
    key: PersonKey = field(repr=False)
    consent_version: str | None = None
    asked_version: str | None = None
    asked_at: datetime | None = None
    declined_at: datetime | None = None
    training_consented_at: datetime | None = None
    age_band: AgeBand | None = None
    blocked_at: datetime | None = None
    visit: Visit = field(default_factory=Visit)
    heard: Heard = field(default_factory=Heard)
    language: str | None = None  # as a BCP 47 tag
    sealed_course: bytes | None = field(default=None, repr=False)  # of danger (dialogue.core.danger_course)


def locked(session: Session, keys: MasterKeys, *, channel: str, user_id: str, now: datetime) -> KnownPerson:
    """Get or create the person with that channel and user id, locked until the transaction ends.

    If the data key was deleted, a new person is created for the same account. Raises `WrongSecretKey`.
    """
    wanted = {
        "channel": channel,
        "user_id": user_id,
        "a_minute_ago": now - timedelta(minutes=1),
        "a_day_ago": now - timedelta(days=1),
    }
    found = session.execute(_LOCKED, wanted).first()
    if (
        found is not None and found.data_key is None
    ):  # an erasure also removes the user id, so this key was lost in another way
        set_aside(session, found.id, now=now)
        found = None
    if found is None:
        make(session, keys, channel=channel, user_id=user_id, now=now)
        found = session.execute(_LOCKED, wanted).one()
    return KnownPerson(
        found.id,
        keys.person_key(found.data_key, found.id),
        consent_version=found.consent_version,
        asked_version=found.asked_version,
        asked_at=found.asked_at,
        declined_at=found.declined_at,
        training_consented_at=found.training_consented_at,
        age_band=found.age_band,
        blocked_at=found.blocked_at,
        visit=Visit(
            began_at=found.visit_began_at,
            heard_at=found.heard_at,
            reminded_at=found.reminded_at,
            labelled_at=found.labelled_at,
        ),
        heard=Heard(last_minute=found.heard_last_minute, last_day=found.heard_last_day),
        language=found.language,
        sealed_course=found.course,
    )


def speaks(session: Session, person: KnownPerson, language: str) -> None:
    """Record the language that the person is spoken to in."""
    session.execute(_SPEAKS, {"person_id": person.id, "new_language": language})


def language_of(session: Session, person_id: UUID) -> str | None:
    """The language that the person is spoken to in, as a BCP 47 tag."""
    language: str | None = session.scalar(_LANGUAGE, {"person_id": person_id})
    return language


def key_of(session: Session, keys: MasterKeys, person_id: UUID) -> PersonKey:
    """The key to that person's texts; raises `Erased`, `WrongSecretKey`."""
    return keys.person_key(session.scalar(_DATA_KEY, {"person_id": person_id}), person_id)


def wrapped_keys_of(session: Session, person_ids: set[UUID]) -> dict[UUID, bytes | None]:
    """The wrapped data keys of several people; None for erased ones."""
    if len(person_ids) == 1:
        (person_id,) = person_ids
        return {person_id: session.scalar(_DATA_KEY, {"person_id": person_id})}
    return {row.id: row.data_key for row in session.execute(_DATA_KEYS, {"person_ids": list(person_ids)})}


def set_aside(session: Session, person_id: UUID, *, now: datetime) -> None:
    """Delete a person's data key and user id, and end their conversations.

    If the same user writes again, a new person is created, who must not continue the old conversations.
    """
    session.execute(_END_THEIRS, {"of_person": person_id, "now": now})
    session.execute(_SET_ASIDE, {"person_id": person_id, "new_user_id": f"erased:{person_id}", "now": now})


def stay_blocked(session: Session, keys: MasterKeys, *, channel: str, user_id: str, since: datetime) -> None:
    """Re-creates an erased person as blocked; nothing else is kept."""
    make(session, keys, channel=channel, user_id=user_id, now=since)
    session.execute(_STAY_BLOCKED, {"of_channel": channel, "of_user": user_id, "since": since})


def check_master_key(session: Session, keys: MasterKeys) -> None:
    """Raises `WrongSecretKey` unless the newest person's data key can be opened (no people: nothing to check)."""
    for person_id, wrapped in session.execute(_NEWEST):
        keys.person_key(wrapped, person_id)


def make(session: Session, keys: MasterKeys, *, channel: str, user_id: str, now: datetime) -> None:
    """Insert a new person, unless another process was faster."""
    person_id = new_id()
    values = {
        "id": person_id,
        "channel": channel,
        "user_id": user_id,
        "data_key": keys.new_data_key(person_id),
        "created_at": now,
    }
    insert_or_ignore(session, PEOPLE, values)
