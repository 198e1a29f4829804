"""What became of claimed texts (`dialogue.core.claiming`): each is marked as sent, failed, put off or held.

A crash between sending and marking cannot be told from one before: ordinary words are then not repeated (failed,
`unknown`), words that must arrive are, and so is what replaces a placeholder, where repeating does no harm.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import budgets, outbox, people
from dialogue.core.budgets import HeldText
from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.errors import Erased
from dialogue.messages import OwedText
from dialogue.states import (
    REPEATABLE_KINDS,
    DeliveryKind,
    DeliveryState,
)
from dialogue.storage.vault import MasterKeys
from dialogue.tables import DELIVERIES, IS_OPEN_DELIVERY

UNKNOWN = "unknown"
"""The `error` of a delivery that was being sent when its courier died."""

_MAX_ERROR = 64
_PART_ROOM = 1 << 40
"""Ids behind a text's for its parts, apart so that each can be split again; far fewer than until the next text's."""

_CLAIMED = update(DELIVERIES).where(
    DELIVERIES.c.id == bindparam("delivery_id"),
    DELIVERIES.c.owner == bindparam("by_owner"),
    DELIVERIES.c.state == DeliveryState.SENDING,
)
_MARK_SENT = _CLAIMED.values(
    state=DeliveryState.SENT, platform_message_id=bindparam("new_platform_message_id"), sent_at=bindparam("now")
)
_MARK_FAILED = _CLAIMED.values(state=DeliveryState.FAILED, error=bindparam("new_error"))
_PUT_OFF = _CLAIMED.values(state=DeliveryState.PENDING, next_attempt_at=bindparam("until"))
_HOLD = _CLAIMED.values(state=DeliveryState.HELD).returning(DELIVERIES.c.conversation_id)
_BOUNCE = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.id == bindparam("delivery_id"),
        DELIVERIES.c.state.in_((DeliveryState.SENT, DeliveryState.SENDING)),  # the platform may be quicker than we are
    )
    .values(state=DeliveryState.BOUNCED, error=bindparam("new_error"))
    .returning(DELIVERIES.c.kind, DELIVERIES.c.channel, DELIVERIES.c.conversation_id)
)
_PROLONG = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id == bindparam("delivery_id"), DELIVERIES.c.state == DeliveryState.SENDING)
    .values(lease_until=bindparam("until"))
)
_DROP = _CLAIMED.values(state=DeliveryState.DISCARDED)
_BESIDE = DELIVERIES.alias()
_MAY_BE_REPEATED = or_(
    DELIVERIES.c.kind.in_(REPEATABLE_KINDS),
    DELIVERIES.c.is_repeatable.is_(True),  # the platform takes each delivery once
    (DELIVERIES.c.part == 0)
    & exists().where(_BESIDE.c.turn_id == DELIVERIES.c.turn_id, _BESIDE.c.part == PLACEHOLDER_PART),
)
_ABANDONED = (
    select(DELIVERIES.c.id)
    .where(IS_OPEN_DELIVERY, DELIVERIES.c.state == DeliveryState.SENDING, DELIVERIES.c.lease_until <= bindparam("now"))
    .with_for_update(skip_locked=True)
    .cte("abandoned")
)
_SETTLE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(select(_ABANDONED.c.id)))
    .values(
        state=case(
            (_MAY_BE_REPEATED, literal(DeliveryState.PENDING, DELIVERIES.c.state.type)), else_=DeliveryState.FAILED
        ),
        error=case((_MAY_BE_REPEATED, None), else_=UNKNOWN),
    )
    .returning(DELIVERIES.c.id)
)
_CLAIMED_BY_OWNER = update(DELIVERIES).where(
    DELIVERIES.c.owner == bindparam("by_owner"), IS_OPEN_DELIVERY, DELIVERIES.c.state == DeliveryState.SENDING
)
_TAKE_BACK = _CLAIMED_BY_OWNER.where(DELIVERIES.c.id.not_in(bindparam("held", expanding=True))).values(
    state=DeliveryState.PENDING, attempt=DELIVERIES.c.attempt - 1
)
_END_LEASE = _CLAIMED_BY_OWNER.values(lease_until=bindparam("now"))
_WHOLE = select(
    DELIVERIES.c.person_id,
    DELIVERIES.c.conversation_id,
    DELIVERIES.c.turn_id,
    DELIVERIES.c.message_id,
    DELIVERIES.c.part,
    DELIVERIES.c.kind,
    DELIVERIES.c.channel,
    DELIVERIES.c.account,
    DELIVERIES.c.chat_id,
    DELIVERIES.c.created_at,
).where(DELIVERIES.c.id == bindparam("delivery_id"))
# of a turn or a message, which may be answered by several texts
_LAST_PART = select(func.max(DELIVERIES.c.part)).where(
    or_(DELIVERIES.c.turn_id == bindparam("of_turn"), DELIVERIES.c.message_id == bindparam("of_message"))
)
_FOLLOWING = (
    select(DELIVERIES.c.id)
    .where(DELIVERIES.c.id > bindparam("after"), DELIVERIES.c.id < bindparam("before"))
    .order_by(DELIVERIES.c.id)
    .limit(1)
)
_OWE_PART = insert(DELIVERIES)
_SHORTEN = update(DELIVERIES).where(DELIVERIES.c.id == bindparam("delivery_id")).values(text=bindparam("new_text"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SentText:
    """A text that the platform took, with the id that it gave it, if it gave one."""

    delivery_id: UUID
    platform_message_id: str | None
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounced:
    """A text that was sent and did not arrive."""

    kind: DeliveryKind
    channel: str
    conversation_id: UUID | None


def split(session: Session, keys: MasterKeys, owed: OwedText, parts: Sequence[str]) -> OwedText:
    """Turn a claimed text into several deliveries: it keeps the first part, the others are owed right behind it."""
    step = _room_behind(session, owed.id) // len(parts)
    if not step:  # an earlier version put parts side by side
        return owed
    whole = session.execute(_WHOLE, {"delivery_id": owed.id}).one()
    key = people.key_of(session, keys, whole.person_id)
    sealed = key.seal(parts[0], row=owed.id, column="deliveries.text")
    session.execute(_SHORTEN, {"delivery_id": owed.id, "new_text": sealed})
    beside = {"of_turn": whole.turn_id, "of_message": whole.message_id}
    last_part = session.scalar(_LAST_PART, beside) if any(beside.values()) else whole.part
    for number, text in enumerate(parts[1:], start=1):
        part_id = UUID(int=owed.id.int + number * step)  # next in order, whatever was owed to that address since
        session.execute(
            _OWE_PART,
            {
                **whole._asdict(),
                "id": part_id,
                "part": last_part + number,
                "text": key.seal(text, row=part_id, column="deliveries.text"),
                "state": DeliveryState.PENDING,
                "attempt": 0,
                "next_attempt_at": whole.created_at,
            },
        )
    return replace(owed, text=parts[0], is_last=len(parts) == 1)


def _room_behind(session: Session, delivery_id: UUID) -> int:
    """How many ids are free behind that one: as many as there may be, or up to a part that it was split from before."""
    end = UUID(int=delivery_id.int + _PART_ROOM)
    following: UUID | None = session.scalar(_FOLLOWING, {"after": delivery_id, "before": end})
    return (following or end).int - delivery_id.int


def mark_sent(
    session: Session, delivery_id: UUID, *, owner: UUID, platform_message_id: str | None, now: datetime
) -> None:
    """The platform took it."""
    one = SentText(delivery_id=delivery_id, platform_message_id=platform_message_id, sent_at=now)
    mark_all_sent(session, [one], owner=owner)


def mark_all_sent(session: Session, texts: Sequence[SentText], *, owner: UUID) -> None:
    """The platform took them: one statement for all."""
    if texts:
        session.execute(
            _MARK_SENT,
            [
                {
                    "delivery_id": text.delivery_id,
                    "by_owner": owner,
                    "new_platform_message_id": text.platform_message_id,
                    "now": text.sent_at,
                }
                for text in sorted(texts, key=lambda text: text.delivery_id)
            ],
        )


def mark_failed(session: Session, delivery_id: UUID, *, owner: UUID, error: str) -> bool:
    """The platform refused it for good; `error` is a short name, never a text. False if it was marked before."""
    marked = session.execute(_MARK_FAILED, {"delivery_id": delivery_id, "by_owner": owner, "new_error": error})
    return bool(getattr(marked, "rowcount", 0))


def owe_instead(session: Session, keys: MasterKeys, refused: OwedText, text: str, *, now: datetime) -> None:
    """Owe the person a notice about what could not be sent; nothing, where they were erased."""
    whole = session.execute(_WHOLE, {"delivery_id": refused.id}).one()
    try:
        key = people.key_of(session, keys, whole.person_id)
    except Erased:
        return
    outbox.owe(
        session,
        key,
        person_id=whole.person_id,
        address=refused.address,
        text=text,
        kind=DeliveryKind.NOTICE,
        conversation_id=whole.conversation_id,
        now=now,
    )


def prolong(session: Session, delivery_id: UUID, *, until: datetime) -> None:
    """Its sending takes longer than a lease lasts."""
    session.execute(_PROLONG, {"delivery_id": delivery_id, "until": until})


def put_off(session: Session, delivery_id: UUID, *, owner: UUID, until: datetime) -> None:
    """Not now: what is owed stays owed, and what is owed later to the same address waits behind it."""
    session.execute(_PUT_OFF, {"delivery_id": delivery_id, "by_owner": owner, "until": until})


def drop(session: Session, delivery_id: UUID, *, owner: UUID) -> None:
    """There is nothing left to be sent: the person was erased."""
    session.execute(_DROP, {"delivery_id": delivery_id, "by_owner": owner})


def hold(session: Session, owed: OwedText, *, owner: UUID, now: datetime) -> HeldText | None:
    """The platform takes nothing more until the person writes: it stays owed.

    None if they have written in the meantime: then it is due again at once.
    """
    if not budgets.refuse(session, owed.grant_id, now=now):
        put_off(session, owed.id, owner=owner, until=now)
        return None
    held = session.execute(_HOLD, {"delivery_id": owed.id, "by_owner": owner}).first()
    if held is None:
        return None
    return HeldText(delivery_id=owed.id, kind=owed.kind, conversation_id=held.conversation_id)


def mark_bounced(session: Session, delivery_id: UUID, *, reason: str) -> Bounced | None:
    """The platform took it, and says now that it did not arrive; `reason` is a short name, never a text.

    None where there is no such delivery that could have been sent: a repeat, or a row that was deleted.
    """
    row = session.execute(_BOUNCE, {"delivery_id": delivery_id, "new_error": reason[:_MAX_ERROR]}).first()
    return None if row is None else Bounced(kind=row.kind, channel=row.channel, conversation_id=row.conversation_id)


def take_over(session: Session, owner: UUID, *, begun: Collection[UUID], now: datetime) -> int:
    """A courier is known to be dead, and which texts it had `begun` to send: all others are due again at once.

    The sweep decides about those begun without waiting for their lease. Returns how many are due again.
    """
    count = take_back(session, owner, held=begun)
    session.execute(_END_LEASE, {"by_owner": owner, "now": now})
    return count


def take_back(session: Session, owner: UUID, *, held: Collection[UUID]) -> int:
    """What that courier claimed is due again, but for what it `held`; returns how many."""
    taken = session.execute(_TAKE_BACK, {"by_owner": owner, "held": list(held)})
    return int(getattr(taken, "rowcount", 0))


def settle_abandoned(session: Session, *, now: datetime) -> int:
    """Decide about texts whose courier died while it sent them; returns how many there were."""
    return len(session.execute(_SETTLE, {"now": now}).all())


def back_off_seconds(attempt: int, *, first_seconds: float = 1, max_seconds: float) -> float:
    """How long to wait after that many failed tries: doubled each time."""
    return float(min(first_seconds * 2 ** min(attempt - 1, 30), max_seconds))
