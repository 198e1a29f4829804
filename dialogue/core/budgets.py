"""What a platform lets us send to a chat until its person writes again: so many messages, and until when.

A message renews the allowance of its address. What was sent by it is counted from the deliveries that carry its
`grant_id`: nothing has to be given back after a crash. The last send is kept for urgent words, which are tried until
the platform itself refuses: it may know better than our count.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session

from dialogue.messages import Address, Allowance, InboundMessage
from dialogue.states import OPEN_DELIVERY_STATES, URGENT_KINDS, DeliveryKind, DeliveryState
from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import new_id
from dialogue.tables import DELIVERIES, IS_OPEN_DELIVERY, SEND_BUDGETS

_SPENT_STATES = (DeliveryState.SENDING, DeliveryState.SENT, DeliveryState.BOUNCED, DeliveryState.FAILED)
_TICK = timedelta(seconds=1)
"""Platforms tell times in whole seconds: what left within the same one counts for the message before."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

_AT_ADDRESS = (
    SEND_BUDGETS.c.channel == bindparam("channel"),
    SEND_BUDGETS.c.chat_id == bindparam("chat_id"),
    SEND_BUDGETS.c.account == bindparam("account"),
)
_LOCKED = select(SEND_BUDGETS).where(*_AT_ADDRESS).with_for_update()
_FREE = (
    select(SEND_BUDGETS)
    .where(SEND_BUDGETS.c.channel == bindparam("of_channel"))
    .with_for_update(skip_locked=True)  # a message renews it just now: the next look finds it
)
_FREE_OF_ONE = _FREE.where(SEND_BUDGETS.c.chat_id == bindparam("of_chat"))
_FREE_OF_SEVERAL = _FREE.where(SEND_BUDGETS.c.chat_id.in_(bindparam("chat_ids", expanding=True)))
_RENEW = (
    update(SEND_BUDGETS)
    .where(SEND_BUDGETS.c.id == bindparam("budget_id"))
    .values(
        person_id=bindparam("of_person"),
        grant_id=bindparam("new_grant"),
        sends=bindparam("new_sends"),
        granted_at=bindparam("new_granted_at"),
        until=bindparam("new_until"),
        has_colleagues=bindparam("with_colleagues"),
        refused_at=None,
    )
)
_BELONGS = (
    update(SEND_BUDGETS).where(SEND_BUDGETS.c.id == bindparam("budget_id")).values(person_id=bindparam("of_person"))
)
# what left after the message was written counts for it, whenever we got to hear of the message
_CARRY_OVER = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.grant_id == bindparam("old_grant"),
        or_(DELIVERIES.c.state == DeliveryState.SENDING, DELIVERIES.c.sent_at >= bindparam("since")),
    )
    .values(grant_id=bindparam("new_grant"))
)
_AT_CHAT = and_(
    DELIVERIES.c.channel == bindparam("of_channel"),
    DELIVERIES.c.chat_id == bindparam("of_chat"),
    DELIVERIES.c.account.in_((bindparam("of_account"), "")),
)
_RELEASE = (
    update(DELIVERIES)
    .where(_AT_CHAT, DELIVERIES.c.state == DeliveryState.HELD)
    .values(state=DeliveryState.PENDING, next_attempt_at=bindparam("now"))
)
_HOLD = (
    update(DELIVERIES)
    .where(_AT_CHAT, IS_OPEN_DELIVERY, DELIVERIES.c.state == DeliveryState.PENDING)
    .values(state=DeliveryState.HELD)
    .returning(DELIVERIES.c.id, DELIVERIES.c.kind, DELIVERIES.c.conversation_id)
)
_HOLD_ORDINARY = _HOLD.where(DELIVERIES.c.kind.not_in(URGENT_KINDS))
_SPENT = (
    select(DELIVERIES.c.grant_id, func.count())
    .where(DELIVERIES.c.state.in_(_SPENT_STATES))
    .group_by(DELIVERIES.c.grant_id)
)
_SPENT_OF_ONE = _SPENT.where(DELIVERIES.c.grant_id == bindparam("of_grant"))
_SPENT_OF_SEVERAL = _SPENT.where(DELIVERIES.c.grant_id.in_(bindparam("grant_ids", expanding=True)))
_HAS_COLLEAGUES = select(SEND_BUDGETS.c.has_colleagues).where(*_AT_ADDRESS)
_HOLDER = select(SEND_BUDGETS.c.platform_holder).where(*_AT_ADDRESS)
_GIVE_AWAY = (
    update(SEND_BUDGETS)
    .where(SEND_BUDGETS.c.id == bindparam("budget_id"))
    .values(
        platform_holder=bindparam("holder"),
        platform_holder_at=bindparam("since"),
        platform_wanted_at=None,
        has_colleagues=True,
        refused_at=bindparam("now"),
    )
)
_GIVE_BACK = (
    update(SEND_BUDGETS)
    .where(SEND_BUDGETS.c.id == bindparam("budget_id"))
    .values(platform_holder=None, platform_holder_at=bindparam("since"))
)
_DROP_STALE = (
    update(DELIVERIES)
    .where(
        _AT_CHAT,
        DELIVERIES.c.state == DeliveryState.HELD,
        DELIVERIES.c.kind.in_((DeliveryKind.REPLY, DeliveryKind.NOTICE, DeliveryKind.CONSENT)),
        DELIVERIES.c.created_at < bindparam("owed_before"),
    )
    .values(state=DeliveryState.DISCARDED)
)
_WANT = (
    update(SEND_BUDGETS)
    .where(
        SEND_BUDGETS.c.channel == bindparam("of_channel"),
        SEND_BUDGETS.c.chat_id == bindparam("of_chat"),
        SEND_BUDGETS.c.account == bindparam("of_account"),
        SEND_BUDGETS.c.platform_holder.is_(None),
    )
    .values(platform_wanted_at=bindparam("wanted_at"))
)
_IS_SAYING = exists().where(
    DELIVERIES.c.channel == SEND_BUDGETS.c.channel,
    DELIVERIES.c.chat_id == SEND_BUDGETS.c.chat_id,
    DELIVERIES.c.account.in_((SEND_BUDGETS.c.account, "")),
    DELIVERIES.c.state.in_(OPEN_DELIVERY_STATES),
    DELIVERIES.c.kind != DeliveryKind.REPLY,
)
_WANTED = select(SEND_BUDGETS).where(
    SEND_BUDGETS.c.channel == bindparam("of_channel"), SEND_BUDGETS.c.platform_wanted_at.is_not(None), ~_IS_SAYING
)
_HELD_THERE = select(SEND_BUDGETS).where(
    SEND_BUDGETS.c.channel == bindparam("of_channel"), SEND_BUDGETS.c.platform_holder.is_not(None)
)
_REFUSE = (
    update(SEND_BUDGETS)
    .where(SEND_BUDGETS.c.grant_id == bindparam("of_grant"))
    .values(refused_at=bindparam("now"))
    .returning(SEND_BUDGETS.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldText:
    """A text that waits for its person to write again."""

    delivery_id: UUID
    kind: DeliveryKind
    conversation_id: UUID | None


@dataclass(slots=True, kw_only=True)
class Budget:
    """The allowance of one address, locked until the transaction ends; `left` may be below 0."""

    address: Address
    grant_id: UUID
    sends: int
    left: int
    until: datetime
    granted_at: datetime
    is_refused: bool

    @property
    def ordinary_left(self) -> int:
        """How many texts that are not urgent may still be sent."""
        return max(0, self.left - (1 if self.sends > 1 else 0))

    def allows(self, kind: DeliveryKind, *, now: datetime) -> bool:
        """Whether a text of that kind may be tried now."""
        if self.is_refused:
            return False
        return kind in URGENT_KINDS or (now < self.until and self.ordinary_left > 0)


def renew(session: Session, person_id: UUID, message: InboundMessage, *, now: datetime) -> None:
    """A message arrived: its allowance replaces that of every earlier one, and what was held is due."""
    if message.allowance is None:
        return
    budget = _locked_or_made(session, message.address)
    if budget.platform_holder is not None:  # a human answers in the platform's own app: nothing is released
        session.execute(_BELONGS, {"budget_id": budget.id, "of_person": person_id})
        return
    if budget.granted_at > message.sent_at:
        return
    if _allows_for_longer(session, budget, message.allowance, now=now):  # a click adds nothing to a message's
        session.execute(_RELEASE, {**_chat(message.address), "now": now})
        return
    grant_id = new_id()
    if not message.allowance.starts_anew:
        carried = {"old_grant": budget.grant_id, "since": message.sent_at + _TICK, "new_grant": grant_id}
        session.execute(_CARRY_OVER, carried)
    session.execute(
        _RENEW,
        {
            "budget_id": budget.id,
            "of_person": person_id,
            "new_grant": grant_id,
            "new_sends": message.allowance.sends,
            "new_granted_at": message.sent_at,
            "new_until": message.allowance.until,
            "with_colleagues": message.allowance.has_colleagues,
        },
    )
    session.execute(_RELEASE, {**_chat(message.address), "now": now})


def free(
    session: Session,
    channel: str,
    addresses: Iterable[Address],
    *,
    accounts: Collection[str] | None = None,
) -> dict[Address, Budget]:
    """The budgets of these addresses, locked; without those that a message is renewing now.

    An address without an account gets the budget of the account in which its person wrote last, `accounts` permitting.
    One that nobody has written from gets a budget of nothing.
    """
    wanted = list(addresses)
    found = _find(session, channel, wanted, accounts)
    missing = [address for address in wanted if address not in found]
    if missing:
        for address in missing:
            _make(session, address)  # exists already where a message is renewing it
        found |= _find(session, channel, missing, accounts)
    return found


def hold(session: Session, address: Address, *, is_refused: bool) -> list[HeldText]:
    """Let what is owed to an address wait for its person: all of it if the platform refused, else what is ordinary."""
    statement = _HOLD if is_refused else _HOLD_ORDINARY
    rows = session.execute(statement, _chat(address)).all()
    return [HeldText(delivery_id=row.id, kind=row.kind, conversation_id=row.conversation_id) for row in rows]


def refuse(session: Session, grant_id: UUID | None, *, now: datetime) -> bool:
    """The platform takes nothing more by that grant. False if a newer message has renewed it."""
    return grant_id is not None and session.execute(_REFUSE, {"of_grant": grant_id, "now": now}).first() is not None


def platform_holder(session: Session, address: Address) -> str | None:
    """The human who answers there in the platform's own app, if one does."""
    return session.scalar(_HOLDER, address.columns())


def has_colleagues(session: Session, address: Address) -> bool:
    """Whether humans may answer there in the platform's own app."""
    return bool(session.scalar(_HAS_COLLEAGUES, address.columns()))


def give_away(
    session: Session, address: Address, holder: str, *, since: datetime, now: datetime
) -> list[HeldText] | None:
    """A human answers there in the platform's own app: what is owed waits until they have ended and the person writes.

    None if that is known, or older than what is known.
    """
    budget = _locked_or_made(session, address)
    if budget.platform_holder == holder or _is_newer(budget, since):
        return None
    session.execute(_GIVE_AWAY, {"budget_id": budget.id, "holder": holder, "since": since, "now": now})
    return hold(session, address, is_refused=True)


def give_back(session: Session, address: Address, *, since: datetime, owed_before: datetime) -> str | None:
    """They have ended; returns who it was. What was owed before `owed_before` would come too late: it is discarded.

    Danger, a human's words and what a person has a right to are kept.
    """
    budget = session.execute(_LOCKED, address.columns()).first()
    if budget is None or budget.platform_holder is None or _is_newer(budget, since):
        return None
    session.execute(_GIVE_BACK, {"budget_id": budget.id, "since": since})
    session.execute(_DROP_STALE, {**_chat(address), "owed_before": owed_before})
    holder: str = budget.platform_holder
    return holder


def want_platform_human(session: Session, address: Address, *, now: datetime | None) -> None:
    """A human of the platform is to be given the chat, as soon as our own words are said; None: not any more."""
    if now is not None:
        _locked_or_made(session, address)
    session.execute(_WANT, {**_chat(address), "wanted_at": now})


def wanting_platform_humans(session: Session, channel: str) -> list[tuple[Address, datetime]]:
    """The chats that are to be given away now, and since when."""
    rows = session.execute(_WANTED, {"of_channel": channel})
    return [(Address.of(row), row.platform_wanted_at) for row in rows]


def held_by_platform_humans(session: Session, channel: str) -> list[Address]:
    """The chats in which a human answers in the platform's own app."""
    return [Address.of(row) for row in session.execute(_HELD_THERE, {"of_channel": channel})]


def _locked_or_made(session: Session, address: Address) -> Any:
    budget = session.execute(_LOCKED, address.columns()).first()
    if budget is None:
        _make(session, address)
        budget = session.execute(_LOCKED, address.columns()).one()
    return budget


def _allows_for_longer(session: Session, budget: Any, allowance: Allowance, *, now: datetime) -> bool:
    """Whether more may still be sent by the budget than by an allowance that ends before it."""
    if budget.refused_at is not None or not now < budget.until or budget.until <= allowance.until:
        return False
    left = int(budget.sends) - _spent(session, {budget.grant_id}).get(budget.grant_id, 0)
    return left >= allowance.sends


def _is_newer(budget: Any, since: datetime) -> bool:
    return budget.platform_holder_at is not None and budget.platform_holder_at > since


def _find(
    session: Session, channel: str, wanted: list[Address], accounts: Collection[str] | None
) -> dict[Address, Budget]:
    rows = _rows(session, channel, {address.chat_id for address in wanted})
    spent = _spent(session, {row.grant_id for row in rows})
    budgets = [_budget(row, spent.get(row.grant_id, 0)) for row in rows]
    budgets.sort(key=lambda budget: budget.granted_at)
    by_address = {budget.address: budget for budget in budgets}
    served = [budget for budget in budgets if accounts is None or budget.address.account in {*accounts, ""}]
    newest = {budget.address.at_any_account(): budget for budget in served}
    return {
        address: budget
        for address in wanted
        if (budget := by_address.get(address) if address.account else newest.get(address)) is not None
    }


def _rows(session: Session, channel: str, chat_ids: set[str]) -> Sequence[Any]:
    """One chat is the usual number; a list of values is written into its statement anew each time."""
    if len(chat_ids) == 1:
        return session.execute(_FREE_OF_ONE, {"of_channel": channel, "of_chat": next(iter(chat_ids))}).all()
    return session.execute(_FREE_OF_SEVERAL, {"of_channel": channel, "chat_ids": list(chat_ids)}).all()


def _spent(session: Session, grant_ids: set[UUID]) -> dict[UUID, int]:
    """How much was sent by each grant."""
    if not grant_ids:
        return {}
    if len(grant_ids) == 1:
        return dict(session.execute(_SPENT_OF_ONE, {"of_grant": next(iter(grant_ids))}).all())
    return dict(session.execute(_SPENT_OF_SEVERAL, {"grant_ids": list(grant_ids)}).all())


def _budget(row: Any, spent: int) -> Budget:
    return Budget(
        address=Address.of(row),
        grant_id=row.grant_id,
        sends=row.sends,
        left=row.sends - spent,
        until=row.until,
        granted_at=row.granted_at,
        is_refused=row.refused_at is not None,
    )


def _make(session: Session, address: Address) -> None:
    """A budget of nothing, unless there is one."""
    values = {"id": new_id(), "grant_id": new_id(), "sends": 0, "granted_at": _NEVER, "until": _NEVER}
    insert_or_ignore(session, SEND_BUDGETS, {**address.columns(), **values, "person_id": None, "refused_at": None})


def _chat(address: Address) -> dict[str, str]:
    return {"of_channel": address.channel, "of_chat": address.chat_id, "of_account": address.account}
