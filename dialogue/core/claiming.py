"""How couriers take texts out of the outbox: the first of each address, urgent ones before all others.

Urgent texts have a queue of their own: a reply that the platform refuses for a minute must not hold up a hotline's
number behind it. Nothing but another export waits for an export, which may be sent for minutes.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Boolean, and_, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import people, sending
from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.errors import DialogueError, Erased, Unreadable, WrongSecretKey
from dialogue.messages import Address, OwedText
from dialogue.states import OPEN_DELIVERY_STATES, UNWRITTEN_KINDS, URGENT_KINDS, DeliveryKind, DeliveryState
from dialogue.storage.vault import MasterKeys
from dialogue.tables import DELIVERIES, IS_OPEN_DELIVERY

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
        IS_OPEN_DELIVERY,
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
CLAIM = (
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
        DELIVERIES.c.conversation_id,
    )
)
"""Takes rows by an owner; `where` says which."""

_CLAIM_ON_CHANNEL = CLAIM.where(DELIVERIES.c.id.in_(select(_DUE.cte("due").c.id)))
_CLAIM_IN_CHAT = CLAIM.where(
    DELIVERIES.c.id.in_(select(_DUE.where(DELIVERIES.c.chat_id == bindparam("of_chat")).cte("due").c.id))
)
_PARTS = select(DELIVERIES.c.turn_id, DELIVERIES.c.part, DELIVERIES.c.platform_message_id).where(
    DELIVERIES.c.state != DeliveryState.JOINED
)
_PARTS_OF_ONE = _PARTS.where(DELIVERIES.c.turn_id == bindparam("of_turn"))
_PARTS_OF_SEVERAL = _PARTS.where(DELIVERIES.c.turn_id.in_(bindparam("turn_ids", expanding=True)))


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
    return opened(session, keys, claimed, owner=owner, now=now)


def opened(session: Session, keys: MasterKeys, claimed: Sequence[Any], *, owner: UUID, now: datetime) -> list[OwedText]:
    """The texts of claimed rows in order; a text that cannot be read is settled and left out."""
    if not claimed:
        return []
    wrapped = people.wrapped_keys_of(session, {delivery.person_id for delivery in claimed})
    beside = _Beside(session, [delivery.turn_id for delivery in claimed if delivery.turn_id is not None])
    texts = []
    for delivery in sorted(claimed, key=lambda delivery: delivery.id):
        try:
            text = _text_of(delivery, keys, wrapped[delivery.person_id])
        except (Erased, Unreadable, WrongSecretKey) as trouble:
            _settle_unreadable(session, delivery.id, trouble, owner=owner, now=now)
        else:
            texts.append(_opened(delivery, text, beside))
    return texts


class _Beside:
    """What else belongs to the same turns: placeholders, and further parts."""

    def __init__(self, session: Session, turn_ids: list[UUID]) -> None:
        self.placeholders: dict[UUID, str] = {}
        self.last_parts: dict[UUID, int] = {}
        for turn_id, part, platform_message_id in self._parts(session, turn_ids):
            if part == PLACEHOLDER_PART:
                self.placeholders[turn_id] = platform_message_id
            self.last_parts[turn_id] = max(part, self.last_parts.get(turn_id, 0))

    @staticmethod
    def _parts(session: Session, turn_ids: list[UUID]) -> Iterable[Any]:
        """One is the usual number; a list of values is written into its statement anew each time."""
        if not turn_ids:
            return ()
        if len(turn_ids) == 1:
            return session.execute(_PARTS_OF_ONE, {"of_turn": turn_ids[0]})
        return session.execute(_PARTS_OF_SEVERAL, {"turn_ids": turn_ids})


def _text_of(delivery: Any, keys: MasterKeys, wrapped: bytes | None) -> str:
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
    match trouble:
        case Erased():
            sending.drop(session, delivery_id, owner=owner)
        case WrongSecretKey():  # of another process or of a restored row: the right key may come
            sending.put_off(session, delivery_id, owner=owner, until=now + _WRONG_KEY_PAUSE)
        case _:
            sending.mark_failed(session, delivery_id, owner=owner, error=UNREADABLE)
    log.warning("text_unreadable", delivery_id=str(delivery_id), error=type(trouble).__name__)


def _opened(delivery: Any, text: str, beside: _Beside) -> OwedText:
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
        conversation_id=delivery.conversation_id,
    )
