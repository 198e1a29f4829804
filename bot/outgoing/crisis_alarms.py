"""Alerts admins to crisis texts that did not reach their person: nobody else would notice."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from dialogue.admin import alerts, find, reachability
from dialogue.admin.cases.opening import UNSENT_LEVEL, open_case
from dialogue.admin.office import Office
from dialogue.core import outbox
from dialogue.core.budgets import HeldText
from dialogue.core.sending import Bounced
from dialogue.messages import OwedText
from dialogue.states import CaseKind, DeliveryKind
from dialogue.tables import CONVERSATIONS

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisAlarms:
    """Within the transaction that finds it out; texts of other kinds raise no alarm."""

    office: Office

    def held(self, session: Session, channel: str, held: HeldText, *, now: datetime) -> None:
        """The platform takes nothing more until the person writes again."""
        if held.kind is DeliveryKind.CRISIS:
            self._alert(session, "alert_crisis_held", channel, held.conversation_id, kind=CaseKind.HELD, now=now)

    def bounced(self, session: Session, bounced: Bounced, *, now: datetime) -> None:
        """The platform took the words, and said later that they did not arrive."""
        if bounced.kind is DeliveryKind.CRISIS:
            place = (bounced.channel, bounced.conversation_id)
            self._alert(session, "alert_crisis_bounced", *place, kind=CaseKind.BOUNCED, now=now)

    def failed(self, session: Session, text: OwedText, reason: str, *, now: datetime) -> None:
        """The platform refused a text for good: crisis words alarm the admins, an alarm goes to the next of them."""
        if text.kind is DeliveryKind.ALERT:
            reachability.pass_on(session, self.office, text, reason, now=now)
        elif text.kind is DeliveryKind.CRISIS:
            conversation_id = outbox.conversation_of(session, text.id)
            place = (text.address.channel, conversation_id)
            self._alert(session, "alert_crisis_bounced", *place, kind=CaseKind.BOUNCED, now=now)

    def _alert(
        self,
        session: Session,
        words: str,
        channel: str,
        conversation_id: UUID | None,
        *,
        kind: CaseKind,
        now: datetime,
    ) -> None:
        log.error("crisis_words_not_delivered", why=words, channel=channel, conversation_id=str(conversation_id))
        if conversation_id is not None:
            self._open_case(session, conversation_id, kind, now=now)
        short_id = find.short_id(session, conversation_id) if conversation_id is not None else "–"
        text = self.office.texts.say(words, id=short_id, channel=channel, at=self.office.clock_time(now))
        alerts.alert(session, self.office, text, conversation_id=conversation_id, now=now)

    def _open_case(self, session: Session, conversation_id: UUID, kind: CaseKind, *, now: datetime) -> None:
        person_id = session.scalars(
            select(CONVERSATIONS.c.person_id).where(CONVERSATIONS.c.id == conversation_id)
        ).one()
        open_case(
            session,
            self.office,
            kind=kind,
            person_id=person_id,
            conversation_id=conversation_id,
            level=UNSENT_LEVEL,
            now=now,
        )
