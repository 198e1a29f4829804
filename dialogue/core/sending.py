"""How couriers empty the outbox. A row is claimed, sent and marked in three steps, in order for each address.

Words that must arrive stand in a line of their own: an answer that the platform refuses for a minute must not hold up
the number of a hotline behind it. Nothing but another export waits for an export, which may be sent for minutes.

A crash between sending and marking cannot be told from one before: ordinary words are then not repeated (failed,
`unknown`), words that must arrive are, and so is what replaces a placeholder, where repeating does no harm.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Boolean, Row, and_, bindparam, case, exists, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import outbox, people
from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.errors import DialogueError, Erased, Unreadable, WrongSecretKey
from dialogue.messages import Address, OwedText
from dialogue.states import (
    OPEN_DELIVERY_STATES,
    REPEATABLE_KINDS,
    UNWRITTEN_KINDS,
    URGENT_KINDS,
    DeliveryKind,
    DeliveryState,
)
from dialogue.storage.vault import MasterKeys
from dialogue.tables import DELIVERIES

UNKNOWN = "unknown"
"""The `error` of a delivery that was being sent when its courier died."""

UNREADABLE = "unreadable"
"""The `error` of a delivery whose sealed text was damaged."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_WRONG_KEY_PAUSE = timedelta(seconds=60)

_OTHER = DELIVERIES.alias()
_IS_URGENT = DELIVERIES.c.kind.in_(URGENT_KINDS)
_IS_OTHER_URGENT = _OTHER.c.kind.in_(URGENT_KINDS)
_DUE = (
    select(DELIVERIES.c.id)
    .where(
        DELIVERIES.c.channel == bindparam("of_channel"),
        DELIVERIES.c.state == DeliveryState.PENDING,
        DELIVERIES.c.next_attempt_at <= bindparam("now"),
        or_(
            bindparam("serves_all", type_=Boolean),
            DELIVERIES.c.account == "",
            DELIVERIES.c.account.in_(bindparam("of_accounts", expanding=True)),
        ),
        or_(_IS_URGENT, ~bindparam("only_urgent", type_=Boolean)),
        ~exists().where(
            _OTHER.c.channel == DELIVERIES.c.channel,
            _OTHER.c.chat_id == DELIVERIES.c.chat_id,
            or_(_OTHER.c.account == DELIVERIES.c.account, _OTHER.c.account == "", DELIVERIES.c.account == ""),
            _OTHER.c.state.in_(OPEN_DELIVERY_STATES),
            or_(
                and_(_IS_OTHER_URGENT, ~_IS_URGENT),
                and_(
                    or_(_IS_OTHER_URGENT, ~_IS_URGENT),
                    or_(_OTHER.c.kind != DeliveryKind.EXPORT, DELIVERIES.c.kind == DeliveryKind.EXPORT),
                    _OTHER.c.id < DELIVERIES.c.id,
                ),
            ),
        ),
    )
    .order_by(case((_IS_URGENT, 0), else_=1), DELIVERIES.c.id)
    .limit(bindparam("max_count"))
    .with_for_update(skip_locked=True, of=DELIVERIES)  # who holds one row must not hold up all couriers
)
_CLAIM = (
    update(DELIVERIES)
    .values(
        state=DeliveryState.SENDING,
        owner=bindparam("new_owner"),
        lease_until=bindparam("until"),
        attempt=DELIVERIES.c.attempt + 1,
    )
    .returning(
        DELIVERIES.c.id,
        DELIVERIES.c.person_id,
        DELIVERIES.c.channel,
        DELIVERIES.c.account,
        DELIVERIES.c.chat_id,
        DELIVERIES.c.kind,
        DELIVERIES.c.text,
        DELIVERIES.c.turn_id,
        DELIVERIES.c.part,
        DELIVERIES.c.attempt,
    )
)
_CLAIM_ON_CHANNEL = _CLAIM.where(DELIVERIES.c.id.in_(select(_DUE.cte("due").c.id)))
_CLAIM_IN_CHAT = _CLAIM.where(
    DELIVERIES.c.id.in_(select(_DUE.where(DELIVERIES.c.chat_id == bindparam("of_chat")).cte("due").c.id))
)
_HELD = update(DELIVERIES).where(
    DELIVERIES.c.id == bindparam("delivery_id"),
    DELIVERIES.c.owner == bindparam("by_owner"),
    DELIVERIES.c.state == DeliveryState.SENDING,
)
_MARK_SENT = _HELD.values(
    state=DeliveryState.SENT, platform_message_id=bindparam("new_platform_message_id"), sent_at=bindparam("now")
)
_MARK_FAILED = _HELD.values(state=DeliveryState.FAILED, error=bindparam("new_error"))
_PUT_OFF = _HELD.values(state=DeliveryState.PENDING, next_attempt_at=bindparam("until"))
_PROLONG = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id == bindparam("delivery_id"), DELIVERIES.c.state == DeliveryState.SENDING)
    .values(lease_until=bindparam("until"))
)
_DROP = _HELD.values(state=DeliveryState.DISCARDED)
_BESIDE = DELIVERIES.alias()
_MAY_BE_REPEATED = or_(
    DELIVERIES.c.kind.in_(REPEATABLE_KINDS),
    (DELIVERIES.c.part == 0)
    & exists().where(_BESIDE.c.turn_id == DELIVERIES.c.turn_id, _BESIDE.c.part == PLACEHOLDER_PART),
)
_ABANDONED = (
    select(DELIVERIES.c.id)
    .where(DELIVERIES.c.state == DeliveryState.SENDING, DELIVERIES.c.lease_until <= bindparam("now"))
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
_HELD_BY_OWNER = update(DELIVERIES).where(
    DELIVERIES.c.owner == bindparam("by_owner"), DELIVERIES.c.state == DeliveryState.SENDING
)
_TAKE_BACK = _HELD_BY_OWNER.where(DELIVERIES.c.id.not_in(bindparam("held", expanding=True))).values(
    state=DeliveryState.PENDING, attempt=DELIVERIES.c.attempt - 1
)
_END_LEASE = _HELD_BY_OWNER.values(lease_until=bindparam("now"))
_OTHER_PARTS = select(DELIVERIES.c.turn_id, DELIVERIES.c.part, DELIVERIES.c.platform_message_id).where(
    DELIVERIES.c.turn_id.in_(bindparam("turn_ids", expanding=True))
)
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
_OWE_PART = insert(DELIVERIES)
_SHORTEN = update(DELIVERIES).where(DELIVERIES.c.id == bindparam("delivery_id")).values(text=bindparam("new_text"))


def claim_due(
    session: Session,
    keys: MasterKeys,
    channel: str,
    *,
    owner: UUID,
    lease_seconds: float,
    limit: int,
    now: datetime,
    accounts: Collection[str] | None = None,
    chat_id: str | None = None,
    only_urgent: bool = False,
) -> list[OwedText]:
    """Take what is due on a channel (or in one chat of it), the first of each address.

    `accounts` None: on all of its accounts; a text that names no account is any account's.

    Words that must arrive come first, also before what is being sent to that address or was put off; then the oldest.
    """
    values = {
        "of_channel": channel,
        "max_count": limit,
        "only_urgent": only_urgent,
        "serves_all": accounts is None,
        "of_accounts": list(accounts or ()),
        "new_owner": owner,
        "until": now + timedelta(seconds=lease_seconds),
        "now": now,
    }
    if chat_id is None:
        claimed = session.execute(_CLAIM_ON_CHANNEL, values).all()
    else:
        claimed = session.execute(_CLAIM_IN_CHAT, {**values, "of_chat": chat_id}).all()
    if not claimed:
        return []
    wrapped = people.wrapped_keys_of(session, {delivery.person_id for delivery in claimed})
    beside = _Beside(session, [delivery.turn_id for delivery in claimed if delivery.turn_id is not None])
    opened = []
    for delivery in sorted(claimed, key=lambda delivery: delivery.id):
        try:
            text = _text_of(delivery, keys, wrapped[delivery.person_id])
        except (Erased, Unreadable, WrongSecretKey) as trouble:
            _settle_unreadable(session, delivery.id, trouble, owner=owner, now=now)
        else:
            opened.append(_opened(delivery, text, beside))
    return opened


def split(session: Session, keys: MasterKeys, owed: OwedText, parts: Sequence[str]) -> OwedText:
    """Turn a claimed text into several deliveries: it keeps the first part, the others are owed right behind it."""
    whole = session.execute(_WHOLE, {"delivery_id": owed.id}).one()
    key = people.key_of(session, keys, whole.person_id)
    sealed = key.seal(parts[0], row=owed.id, column="deliveries.text")
    session.execute(_SHORTEN, {"delivery_id": owed.id, "new_text": sealed})
    for number, text in enumerate(parts[1:], start=1):
        part_id = UUID(int=owed.id.int + number)  # next in order, whatever was owed to that address since
        session.execute(
            _OWE_PART,
            {
                **whole._asdict(),
                "id": part_id,
                "part": whole.part + number,
                "text": key.seal(text, row=part_id, column="deliveries.text"),
                "state": DeliveryState.PENDING,
                "attempt": 0,
                "next_attempt_at": whole.created_at,
            },
        )
    return replace(owed, text=parts[0], is_last=len(parts) == 1)


def mark_sent(
    session: Session, delivery_id: UUID, *, owner: UUID, platform_message_id: str | None, now: datetime
) -> None:
    """The platform took it."""
    values = {"new_platform_message_id": platform_message_id, "now": now}
    session.execute(_MARK_SENT, {"delivery_id": delivery_id, "by_owner": owner, **values})


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


class _Beside:
    """What else belongs to the same turns: placeholders, and further parts."""

    def __init__(self, session: Session, turn_ids: list[UUID]) -> None:
        self.placeholders: dict[UUID, str] = {}
        self.last_parts: dict[UUID, int] = {}
        for turn_id, part, platform_message_id in session.execute(_OTHER_PARTS, {"turn_ids": turn_ids}):
            if part == PLACEHOLDER_PART:
                self.placeholders[turn_id] = platform_message_id
            self.last_parts[turn_id] = max(part, self.last_parts.get(turn_id, 0))


def _text_of(delivery: Row[Any], keys: MasterKeys, wrapped: bytes | None) -> str:
    """Empty for what is made when it is sent; raises `Erased`, `Unreadable`, `WrongSecretKey`."""
    if delivery.text is None:
        if delivery.kind in UNWRITTEN_KINDS:
            return ""
        raise Erased
    key = keys.person_key(wrapped, delivery.person_id)
    return key.open(delivery.text, row=delivery.id, column="deliveries.text")


def _settle_unreadable(
    session: Session, delivery_id: UUID, trouble: DialogueError, *, owner: UUID, now: datetime
) -> None:
    """One text that cannot be read must not hold up the others that were claimed with it."""
    held = {"delivery_id": delivery_id, "by_owner": owner}
    match trouble:
        case Erased():
            session.execute(_DROP, held)
        case WrongSecretKey():  # of another process or of a restored row: the right key may come
            session.execute(_PUT_OFF, {**held, "until": now + _WRONG_KEY_PAUSE})
        case _:
            session.execute(_MARK_FAILED, {**held, "new_error": UNREADABLE})
    log.warning("text_unreadable", delivery_id=str(delivery_id), error=type(trouble).__name__)


def _opened(delivery: Row[Any], text: str, beside: _Beside) -> OwedText:
    return OwedText(
        id=delivery.id,
        address=Address.of(delivery),
        kind=delivery.kind,
        text=text,
        turn_id=delivery.turn_id,
        part=delivery.part,
        attempt=delivery.attempt,
        is_last=delivery.part >= beside.last_parts.get(delivery.turn_id, 0),
        placeholder_id=beside.placeholders.get(delivery.turn_id) if delivery.part == 0 else None,
    )
