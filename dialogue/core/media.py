"""Pictures, voice and files of a person whom a human answers: wanted, fetched by the channel, kept sealed.

Nothing is fetched that no human waits for. The content is written in pieces, each in a transaction of its own, so that
nobody's words wait behind a large one; until the last of them it is not there. Whoever fetches a medium has raised its
`attempt`, and writes only as long as nobody else has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import and_, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from dialogue.core import content_types, people
from dialogue.core.people import KnownPerson
from dialogue.errors import Unreadable, WrongSecretKey
from dialogue.messages import InboundMessage, MediumOffer
from dialogue.states import MediumKind, MediumLoss, MediumState
from dialogue.storage import after_commit
from dialogue.storage.ids import id_named, new_id
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, MEDIA, MEDIUM_CHUNKS, PEOPLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CHUNK_BYTES = 512 * 1024

_UNREADABLE_PAUSE = timedelta(minutes=1)
_REFERENCE, _NAME, _CONTENT = "media.reference", "media.name", "medium_chunks.content"

_KNOWN = select(MEDIA.c.id).where(MEDIA.c.id == bindparam("medium_id"))
_IS_HELD = exists().where(
    CONVERSATIONS.c.id == MEDIA.c.conversation_id,
    CONVERSATIONS.c.closed_at.is_(None),
    CONVERSATIONS.c.taken_over_by.is_not(None),
)
_IS_WANTED = and_(MEDIA.c.channel == bindparam("of_channel"), MEDIA.c.state == MediumState.WANTED)
_DUE = (
    select(MEDIA, PEOPLE.c.data_key, _IS_HELD.label("is_held"))
    .join(PEOPLE, PEOPLE.c.id == MEDIA.c.person_id)
    .where(_IS_WANTED, MEDIA.c.next_attempt_at <= bindparam("now"))
    .order_by(MEDIA.c.next_attempt_at)
    .limit(bindparam("max_count"))
    .with_for_update(of=MEDIA, skip_locked=True)
)
_NEXT = (
    select(MEDIA.c.next_attempt_at)
    .where(_IS_WANTED, MEDIA.c.next_attempt_at > bindparam("now"))
    .order_by(MEDIA.c.next_attempt_at)
    .limit(1)
)
_TAKE = update(MEDIA).where(MEDIA.c.id == bindparam("medium_id"))
_MINE = (
    select(MEDIA.c.id)
    .where(
        MEDIA.c.id == bindparam("medium_id"),
        MEDIA.c.state == MediumState.WANTED,
        MEDIA.c.attempt == bindparam("my_attempt"),
    )
    .with_for_update()
)
_LOST_SINCE = (
    select(MEDIA.c.id)
    .where(
        MEDIA.c.conversation_id == bindparam("of_conversation"),
        MEDIA.c.state == MediumState.LOST,
        MEDIA.c.attempt > 0,
        MEDIA.c.settled_at > bindparam("since"),
    )
    .limit(1)
)
_DROP_CHUNKS = delete(MEDIUM_CHUNKS).where(MEDIUM_CHUNKS.c.medium_id == bindparam("medium_id"))
_CHUNKS = (
    select(MEDIUM_CHUNKS.c.id, MEDIUM_CHUNKS.c.content)
    .where(MEDIUM_CHUNKS.c.medium_id == bindparam("medium_id"))
    .order_by(MEDIUM_CHUNKS.c.seq)
)
_KEPT_SIZE = select(func.count().label("count_of_all"), func.sum(MEDIA.c.size).label("bytes_of_all")).where(
    MEDIA.c.state == MediumState.KEPT
)
_OF_MESSAGE = select(MEDIA.c.id).where(
    MEDIA.c.person_id == bindparam("of_person"),
    MEDIA.c.channel == bindparam("of_channel"),
    MEDIA.c.account == bindparam("of_account"),
    MEDIA.c.external_id == bindparam("of_external_id"),
)
_ONE = select(MEDIA).where(MEDIA.c.id == bindparam("medium_id"))
_OF_PERSON = select(MEDIA).where(MEDIA.c.person_id == bindparam("of_person")).order_by(MEDIA.c.id)
_OF_CONVERSATION = (
    select(MEDIA)
    .where(MEDIA.c.conversation_id == bindparam("of_conversation"))
    .order_by(MEDIA.c.id.desc())
    .limit(bindparam("max_count"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMedium:
    """What one adapter fetches now, as its `attempt`; nobody else does until the lease ends."""

    id: UUID
    conversation_id: UUID
    reference: str = field(repr=False)
    kind: MediumKind
    attempt: int
    received_at: datetime
    key: PersonKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMedium:
    """What may be told of one. `name`: of a file, if the person gave one. `size`: in bytes, where it is known.

    `content_type`: of what is kept, by its content.
    """

    id: UUID
    conversation_id: UUID
    kind: MediumKind
    state: MediumState
    loss: MediumLoss | None
    name: str = field(repr=False)
    size: int | None
    received_at: datetime
    content_type: str = content_types.UNKNOWN


def want(
    session: Session,
    person: KnownPerson,
    conversation_id: UUID,
    message: InboundMessage,
    offer: MediumOffer,
    *,
    max_bytes: int,
    now: datetime,
) -> SeenMedium | None:
    """Have it fetched for the human who holds the conversation; None if it was asked for before.

    What is too large, or is no file, is lost from the start. The person must be locked.
    """
    medium_id = id_named(f"{conversation_id} {message.external_id} {offer.mark or offer.reference}", at=message.sent_at)
    if session.scalar(_KNOWN, {"medium_id": medium_id}) is not None:
        return None
    loss = _hopeless(offer, max_bytes)
    state = MediumState.WANTED if loss is None else MediumState.LOST
    row = {
        "id": medium_id,
        "person_id": person.id,
        "conversation_id": conversation_id,
        "channel": message.address.channel,
        "account": message.account,
        "external_id": message.external_id,
        "kind": offer.kind,
        "state": state,
        "loss": loss,
        "reference": person.key.seal(offer.reference, row=medium_id, column=_REFERENCE) if loss is None else None,
        "name": person.key.seal(offer.name, row=medium_id, column=_NAME) if offer.name else None,
        "size": offer.size,
        "attempt": 0,
        "next_attempt_at": now,
        "received_at": now,
        "settled_at": now if loss is not None else None,
    }
    session.execute(insert(MEDIA), row)
    if loss is None:
        after_commit.want(session, message.address.channel)
    return SeenMedium(
        id=medium_id,
        conversation_id=conversation_id,
        kind=offer.kind,
        state=state,
        loss=loss,
        name=offer.name,
        size=offer.size,
        received_at=now,
    )


def _hopeless(offer: MediumOffer, max_bytes: int) -> MediumLoss | None:
    if not offer.reference:
        return MediumLoss.NO_FILE
    if not max_bytes:
        return MediumLoss.OFF
    return MediumLoss.TOO_LARGE if offer.size is not None and offer.size > max_bytes else None


def claim(
    session: Session, keys: MasterKeys, channel: str, *, limit: int, lease_seconds: float, now: datetime
) -> list[WantedMedium]:
    """What is to be fetched now. What nobody waits for any more is given up; what cannot be read here waits."""
    claimed = []
    for row in session.execute(_DUE, {"of_channel": channel, "now": now, "max_count": limit}).all():
        if not row.is_held or row.data_key is None:
            _settle(session, row.id, MediumState.LOST, loss=MediumLoss.RELEASED, now=now)
            continue
        try:
            key = keys.person_key(row.data_key, row.person_id)
            reference = key.open(row.reference, row=row.id, column=_REFERENCE)
        except (WrongSecretKey, Unreadable) as error:  # another process may have the key; the others go on
            log.warning("medium_unreadable", medium_id=str(row.id), error=type(error).__name__)
            session.execute(_TAKE.values(next_attempt_at=now + _UNREADABLE_PAUSE), {"medium_id": row.id})
            continue
        taken = {"attempt": row.attempt + 1, "next_attempt_at": now + timedelta(seconds=lease_seconds)}
        session.execute(_TAKE.values(**taken), {"medium_id": row.id})
        session.execute(_DROP_CHUNKS, {"medium_id": row.id})  # of somebody who died over it
        claimed.append(
            WantedMedium(
                id=row.id,
                conversation_id=row.conversation_id,
                reference=reference,
                kind=row.kind,
                attempt=row.attempt + 1,
                received_at=row.received_at,
                key=key,
            )
        )
    return claimed


def next_at(session: Session, channel: str, *, now: datetime) -> datetime | None:
    """When something is to be fetched that is not yet due."""
    at: datetime | None = session.scalar(_NEXT, {"of_channel": channel, "now": now})
    return at


def write_chunk(session: Session, wanted: WantedMedium, seq: int, content: bytes) -> bool:
    """Store the piece number `seq`; False if it is no longer ours to fetch."""
    if not _is_mine(session, wanted):
        return False
    row = new_id()
    sealed = wanted.key.seal_bytes(content, row=row, column=_CONTENT)
    session.execute(insert(MEDIUM_CHUNKS), {"id": row, "medium_id": wanted.id, "seq": seq, "content": sealed})
    return True


def keep(session: Session, wanted: WantedMedium, *, size: int, content_type: str, now: datetime) -> bool:
    """All pieces are stored; False if it is no longer ours to fetch."""
    if not _is_mine(session, wanted):
        return False
    _settle(session, wanted.id, MediumState.KEPT, size=size, content_type=content_type, now=now)
    return True


def lose(session: Session, wanted: WantedMedium, loss: MediumLoss, *, now: datetime) -> bool:
    """It will not be fetched; False if it is no longer ours to fetch."""
    if not _is_mine(session, wanted):
        return False
    session.execute(_DROP_CHUNKS, {"medium_id": wanted.id})
    _settle(session, wanted.id, MediumState.LOST, loss=loss, now=now)
    return True


def was_one_lost(session: Session, conversation_id: UUID, *, since: datetime) -> bool:
    """Whether another one of that conversation, which had been asked for, was lost since then."""
    return session.scalar(_LOST_SINCE, {"of_conversation": conversation_id, "since": since}) is not None


def put_off(session: Session, wanted: WantedMedium, *, until: datetime) -> None:
    """It is tried again then."""
    if _is_mine(session, wanted):
        session.execute(_TAKE.values(next_attempt_at=until), {"medium_id": wanted.id})


def take_back(session: Session, person: KnownPerson, message: InboundMessage, *, external_id: str) -> None:
    """The person took that message back: what was fetched of it is deleted. The person must be locked."""
    place = {
        "of_person": person.id,
        "of_channel": message.address.channel,
        "of_account": message.account,
        "of_external_id": external_id,
    }
    for medium_id in session.scalars(_OF_MESSAGE, place).all():
        session.execute(_DROP_CHUNKS, {"medium_id": medium_id})
        session.execute(delete(MEDIA).where(MEDIA.c.id == medium_id))


def one(session: Session, keys: MasterKeys, medium_id: UUID) -> SeenMedium | None:
    """What may be told of it; None if there is none, or no more. Raises `Erased`, `WrongSecretKey`."""
    row = session.execute(_ONE, {"medium_id": medium_id}).first()
    return None if row is None else _seen(row, people.key_of(session, keys, row.person_id))


def of_conversation(session: Session, key: PersonKey, conversation_id: UUID, *, limit: int) -> list[SeenMedium]:
    """The last of them, the newest first."""
    rows = session.execute(_OF_CONVERSATION, {"of_conversation": conversation_id, "max_count": limit})
    return [_seen(row, key) for row in rows]


def of_person(session: Session, key: PersonKey, person_id: UUID) -> list[SeenMedium]:
    """All of them, the oldest first."""
    return [_seen(row, key) for row in session.execute(_OF_PERSON, {"of_person": person_id})]


def content(session: Session, keys: MasterKeys, medium_id: UUID) -> bytes:
    """The whole of it; empty if it is not kept. Raises `Erased`, `WrongSecretKey`, `Unreadable`."""
    row = session.execute(_ONE, {"medium_id": medium_id}).first()
    if row is None or row.state is not MediumState.KEPT:
        return b""
    return b"".join(_chunks(session, people.key_of(session, keys, row.person_id), medium_id))


def kept_size(session: Session) -> tuple[int, int]:
    """How many there are, and how many bytes they have together."""
    row = session.execute(_KEPT_SIZE).one()
    return row.count_of_all, row.bytes_of_all or 0


def _chunks(session: Session, key: PersonKey, medium_id: UUID) -> Iterator[bytes]:
    for row in session.execute(_CHUNKS, {"medium_id": medium_id}):
        yield key.open_bytes(row.content, row=row.id, column=_CONTENT)


def _is_mine(session: Session, wanted: WantedMedium) -> bool:
    return session.scalar(_MINE, {"medium_id": wanted.id, "my_attempt": wanted.attempt}) is not None


def _settle(
    session: Session,
    medium_id: UUID,
    state: MediumState,
    *,
    loss: MediumLoss | None = None,
    size: int | None = None,
    content_type: str | None = None,
    now: datetime,
) -> None:
    """The reference is of no use from now on."""
    values: dict[str, Any] = {"state": state, "loss": loss, "reference": None, "settled_at": now}
    if size is not None:
        values |= {"size": size, "content_type": content_type}
    session.execute(_TAKE.values(**values), {"medium_id": medium_id})


def _seen(row: Any, key: PersonKey) -> SeenMedium:
    return SeenMedium(
        id=row.id,
        conversation_id=row.conversation_id,
        kind=row.kind,
        state=row.state,
        loss=row.loss,
        name=key.open(row.name, row=row.id, column=_NAME) if row.name is not None else "",
        size=row.size,
        received_at=row.received_at,
        content_type=row.content_type or content_types.UNKNOWN,
    )
