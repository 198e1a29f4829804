"""How couriers take texts out of the outbox where a platform limits sending: what the budget allows, by importance.

Crisis words come before a human's words, those before replies, those before notices; one ordinary text of an address is
on its way at a time. What the budget does not allow is held until the person writes (`dialogue.core.budgets`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, FromClause, and_, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import budgets, media_marks, people
from dialogue.core.budgets import Budget, HeldText
from dialogue.core.claiming import CLAIM, opened
from dialogue.errors import Unreadable
from dialogue.messages import Address, OwedText
from dialogue.states import OPEN_DELIVERY_STATES, URGENT_KINDS, DeliveryKind, DeliveryState
from dialogue.storage.vault import MasterKeys
from dialogue.tables import DELIVERIES, IS_OPEN_DELIVERY

_HUMAN = (DeliveryKind.HUMAN, DeliveryKind.RELAY)
_MAX_JOINED = 20
_BETWEEN = "\n\n"


def _rank(table: FromClause) -> Any:
    """0 is sent first."""
    kind = table.c.kind
    return case((kind.in_(URGENT_KINDS), 0), (kind.in_(_HUMAN), 1), (kind == DeliveryKind.NOTICE, 3), else_=2)


_OTHER = DELIVERIES.alias()
_SAME_ADDRESS = (
    _OTHER.c.channel == DELIVERIES.c.channel,
    _OTHER.c.chat_id == DELIVERIES.c.chat_id,
    or_(_OTHER.c.account == DELIVERIES.c.account, _OTHER.c.account == "", DELIVERIES.c.account == ""),
)
_DUE = (
    select(
        DELIVERIES.c.id,
        DELIVERIES.c.channel,
        DELIVERIES.c.account,
        DELIVERIES.c.chat_id,
        DELIVERIES.c.kind,
        DELIVERIES.c.grant_id,
        exists()
        .where(
            *_SAME_ADDRESS,
            _OTHER.c.state.in_(OPEN_DELIVERY_STATES),
            _OTHER.c.state == DeliveryState.PENDING,
            _OTHER.c.id != DELIVERIES.c.id,
        )
        .label("has_others"),
    )
    .where(
        DELIVERIES.c.channel == bindparam("of_channel"),
        IS_OPEN_DELIVERY,
        DELIVERIES.c.state == DeliveryState.PENDING,
        DELIVERIES.c.next_attempt_at <= bindparam("now"),
        or_(DELIVERIES.c.kind.in_(URGENT_KINDS), ~bindparam("only_urgent", type_=Boolean)),
        ~exists().where(
            *_SAME_ADDRESS,
            _OTHER.c.state.in_(OPEN_DELIVERY_STATES),
            _OTHER.c.id != DELIVERIES.c.id,
            or_(
                _rank(_OTHER) < _rank(DELIVERIES),
                and_(_rank(_OTHER) == _rank(DELIVERIES), _OTHER.c.id < DELIVERIES.c.id),
                and_(_OTHER.c.state == DeliveryState.SENDING, DELIVERIES.c.kind.not_in(URGENT_KINDS)),
            ),
        ),
    )
    .order_by(_rank(DELIVERIES), DELIVERIES.c.id)
    .limit(bindparam("max_count"))
)
_DUE_ON = _DUE.where(
    or_(DELIVERIES.c.account == "", DELIVERIES.c.account.in_(bindparam("of_accounts", expanding=True)))
)
_STILL_PENDING = (
    select(DELIVERIES.c.id)
    .where(DELIVERIES.c.id == bindparam("delivery_id"), DELIVERIES.c.state == DeliveryState.PENDING)
    .with_for_update(skip_locked=True)
)
_CLAIM_ONE = CLAIM.where(DELIVERIES.c.id.in_(select(_STILL_PENDING.cte("pending").c.id))).values(
    account=bindparam("new_account"), grant_id=bindparam("new_grant"), is_repeatable=bindparam("may_be_repeated")
)
_WAITING_THERE = (
    DELIVERIES.c.channel == bindparam("of_channel"),
    DELIVERIES.c.chat_id == bindparam("of_chat"),
    DELIVERIES.c.account.in_((bindparam("of_account"), "")),
    IS_OPEN_DELIVERY,
    DELIVERIES.c.state == DeliveryState.PENDING,
)
"""What an address is still owed."""
_FOLLOWING = (
    select(DELIVERIES.c.id, DELIVERIES.c.text)
    .where(
        *_WAITING_THERE,
        DELIVERIES.c.kind == bindparam("of_kind"),
        DELIVERIES.c.person_id == bindparam("of_person"),
        DELIVERIES.c.conversation_id.is_not_distinct_from(bindparam("of_conversation", type_=DELIVERIES.c.id.type)),
        DELIVERIES.c.attempt == 0,
        DELIVERIES.c.text.is_not(None),
    )
    .order_by(DELIVERIES.c.id)
    .limit(_MAX_JOINED)
    .with_for_update(skip_locked=True)
)
_PUT_WHOLE = update(DELIVERIES).where(DELIVERIES.c.id == bindparam("delivery_id")).values(text=bindparam("new_text"))
_JOINED = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id.in_(bindparam("delivery_ids", expanding=True)))
    .values(state=DeliveryState.JOINED, text=None)
)
_FOLLOWED = (
    select(DELIVERIES.c.id)
    .where(
        *_WAITING_THERE,
        DELIVERIES.c.kind.not_in(URGENT_KINDS),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What may be sent now, and what waits for its person from now on."""

    texts: list[OwedText] = field(default_factory=list)
    held: list[HeldText] = field(default_factory=list)


def claim_within_budget(
    session: Session,
    keys: MasterKeys,
    channel: str,
    *,
    owner: UUID,
    lease_seconds: float,
    limit: int,
    fits: Callable[[str], bool],
    accounts: Collection[str] | None = None,
    only_urgent: bool = False,
    may_be_repeated: bool = False,
    now: datetime,
) -> Claimed:
    """Take what is due on a channel and allowed.

    Texts of one kind and conversation are joined while one message `fits`. `accounts` None: on all of its accounts.
    `may_be_repeated`: the platform takes each delivery once, so one whose fate is unknown is sent again.
    """
    wanted = {"of_channel": channel, "max_count": limit, "only_urgent": only_urgent, "now": now}
    if accounts is None:
        due = session.execute(_DUE, wanted).all()
    else:
        due = session.execute(_DUE_ON, {**wanted, "of_accounts": list(accounts)}).all()
    if not due:
        return Claimed()
    # the budgets before the rows: a message that renews one may go on to lock what is owed there
    purse = budgets.free(session, channel, {Address.of(row) for row in due}, accounts=accounts)
    result = Claimed()
    claim = {"new_owner": owner, "until": now + timedelta(seconds=lease_seconds)}
    for row in due:
        budget = purse.get(Address.of(row))
        if budget is None:
            continue
        if not budget.allows(row.kind, now=now):
            result.held.extend(budgets.hold(session, budget.address, is_refused=budget.is_refused))
            continue
        values = {
            "delivery_id": row.id,
            "new_account": budget.address.account,
            "new_grant": budget.grant_id,
            "may_be_repeated": may_be_repeated,
        }
        claimed = session.execute(_CLAIM_ONE, {**claim, **values}).all()
        if claimed:
            budget.left -= 1
        for text in opened(session, keys, claimed, owner=owner, now=now):
            is_new = text.attempt == 1 and row.grant_id is None
            whole = _joined(session, keys, claimed[0], text, fits) if is_new and row.has_others else text
            result.texts.append(replace(_within(session, whole, budget), is_new=is_new))
    return result


def _joined(session: Session, keys: MasterKeys, row: Any, owed: OwedText, fits: Callable[[str], bool]) -> OwedText:
    """With what can be said in the same message; only once, so that a repeat says the same."""
    if not owed.text or media_marks.reference_in(owed.text) is not None:
        return owed
    place = {**_chat(owed.address), "of_kind": owed.kind}
    following = session.execute(
        _FOLLOWING, {**place, "of_person": row.person_id, "of_conversation": row.conversation_id}
    ).all()
    if not following:
        return owed
    key = people.key_of(session, keys, row.person_id)
    whole = owed.text
    joined: list[UUID] = []
    for each in following:
        try:
            next_text = key.open(each.text, row=each.id, column="deliveries.text")
        except Unreadable:
            break
        longer = whole + _BETWEEN + next_text
        if media_marks.reference_in(next_text) is not None or not fits(longer):
            break
        whole = longer
        joined.append(each.id)
    if not joined:
        return owed
    sealed = key.seal(whole, row=owed.id, column="deliveries.text")
    session.execute(_PUT_WHOLE, {"delivery_id": owed.id, "new_text": sealed})
    session.execute(_JOINED, {"delivery_ids": joined})
    return replace(owed, text=whole)


def _within(session: Session, owed: OwedText, budget: Budget) -> OwedText:
    is_last_send = owed.kind not in URGENT_KINDS and budget.ordinary_left == 0
    is_followed = is_last_send and session.scalar(_FOLLOWED, _chat(owed.address)) is not None
    return replace(owed, grant_id=budget.grant_id, sends_left=budget.ordinary_left, is_followed=is_followed)


def _chat(address: Address) -> dict[str, str]:
    return {"of_channel": address.channel, "of_chat": address.chat_id, "of_account": address.account}
