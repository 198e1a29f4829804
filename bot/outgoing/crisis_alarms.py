"""Alerts admins to crisis texts that did not reach their person: nobody else would notice."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from dialogue.admin import alerts, find
from dialogue.admin.office import Office
from dialogue.core.budgets import HeldText
from dialogue.core.sending import Bounced
from dialogue.states import DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisAlarms:
    """Within the transaction that finds it out; texts of other kinds raise no alarm."""

    office: Office

    def held(self, session: Session, channel: str, held: HeldText, *, now: datetime) -> None:
        """The platform takes nothing more until the person writes again."""
        if held.kind is DeliveryKind.CRISIS:
            self._alert(session, "alert_crisis_held", channel, held.conversation_id, now=now)

    def bounced(self, session: Session, bounced: Bounced, *, now: datetime) -> None:
        """The platform took the words, and said later that they did not arrive."""
        if bounced.kind is DeliveryKind.CRISIS:
            self._alert(session, "alert_crisis_bounced", bounced.channel, bounced.conversation_id, now=now)

    def _alert(
        self, session: Session, words: str, channel: str, conversation_id: UUID | None, *, now: datetime
    ) -> None:
        log.error("crisis_words_not_delivered", why=words, channel=channel, conversation_id=str(conversation_id))
        short_id = find.short_id(session, conversation_id) if conversation_id is not None else "–"
        text = self.office.texts.say(words, id=short_id, channel=channel, at=f"{now:%m-%d %H:%M} UTC")
        alerts.alert(session, self.office, text, conversation_id=conversation_id, now=now)
