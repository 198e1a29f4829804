"""What a courier may send now: everything that is due, or what a platform's budget allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from bot.outgoing.crisis_alarms import CrisisAlarms
from bot.outgoing.splitting import Measure, first_part
from dialogue.core import sending
from dialogue.core.budgeted_claims import claim_within_budget
from dialogue.core.budgets import HeldText
from dialogue.core.claiming import claim_due
from dialogue.messages import OwedText
from dialogue.states import URGENT_KINDS
from dialogue.storage.savepoint import succeeds
from dialogue.storage.vault import MasterKeys

_BETWEEN = "\n\n"


class Claims(Protocol):
    """Takes texts out of the outbox for one courier."""

    def take(
        self, session: Session, *, owner: UUID, lease_seconds: float, limit: int, only_urgent: bool, now: datetime
    ) -> list[OwedText]:
        """At most `limit` texts, each no longer than one message; they are the owner's until the lease ends."""

    def was_held(self, session: Session, held: HeldText, *, now: datetime) -> None:
        """The platform refused one of them until its person writes again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllThatIsDue:
    """For a channel where sending costs nothing."""

    channel: str
    keys: MasterKeys
    split: Callable[[str], list[str]]
    chat_id: str | None = None
    accounts: Sequence[str] | None = None

    def take(
        self, session: Session, *, owner: UUID, lease_seconds: float, limit: int, only_urgent: bool, now: datetime
    ) -> list[OwedText]:
        texts = claim_due(
            session,
            self.keys,
            self.channel,
            owner=owner,
            lease_seconds=lease_seconds,
            limit=limit,
            accounts=self.accounts,
            chat_id=self.chat_id,
            only_urgent=only_urgent,
            now=now,
        )
        return [self._first_part(session, text) for text in texts]

    def was_held(self, session: Session, held: HeldText, *, now: datetime) -> None:
        """Nobody else is told: only channels with a budget know of waiting for a person."""

    def _first_part(self, session: Session, text: OwedText) -> OwedText:
        parts = self.split(text.text)
        return text if len(parts) == 1 else sending.split(session, self.keys, text, parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinBudget:
    """For a channel that limits what is sent until the person writes again (`dialogue.core.budgets`).

    What is owed is joined up to `longest`, by the platform's `measure`, before anything is split. `more` is said at the
    end of the last text that may be sent while more is owed. `alarms` are told of crisis words that must wait.
    `may_be_repeated`: the platform takes each delivery once.
    """

    channel: str
    keys: MasterKeys
    longest: int
    measure: Measure
    more: str
    alarms: CrisisAlarms
    may_be_repeated: bool = False
    accounts: Sequence[str] | None = None

    def take(
        self, session: Session, *, owner: UUID, lease_seconds: float, limit: int, only_urgent: bool, now: datetime
    ) -> list[OwedText]:
        claimed = claim_within_budget(
            session,
            self.keys,
            self.channel,
            owner=owner,
            lease_seconds=lease_seconds,
            limit=limit,
            fits=self._fits,
            accounts=self.accounts,
            only_urgent=only_urgent,
            may_be_repeated=self.may_be_repeated,
            now=now,
        )
        for held in claimed.held:
            self.was_held(session, held, now=now)
        return [self._first_part(session, text) for text in claimed.texts]

    def was_held(self, session: Session, held: HeldText, *, now: datetime) -> None:
        tell = partial(self.alarms.held, session, self.channel, held, now=now)
        succeeds(session, tell, event="outcome_not_told")

    def _fits(self, text: str) -> bool:
        return self.measure.of(text) <= self.longest

    def _first_part(self, session: Session, text: OwedText) -> OwedText:
        part, rest = first_part(text.text, self.longest, self.measure)
        is_end = text.sends_left == 0 and bool(text.is_followed or rest) and text.kind not in URGENT_KINDS
        if is_end and not self._fits(part + _BETWEEN + self.more):
            if text.is_new:
                room = self.longest - self.measure.of(_BETWEEN + self.more)
                part, rest = first_part(text.text, room, self.measure)
            else:  # what is behind it is a text of its own already
                is_end = False
        first = sending.split(session, self.keys, text, [part, rest]) if rest else text
        return replace(first, text=first.text + _BETWEEN + self.more) if is_end else first
