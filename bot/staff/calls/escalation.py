"""Watches over the cases that nobody attends to, in a background thread; any number of processes may."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Self
from uuid import uuid4

import structlog

from bot.staff.calls import webhook
from bot.staff.calls.mail import MailServer
from bot.staff.calls.webhook import FORMS, WebhookCalls
from dialogue.admin.cases import escalation, escalation_list, open_cases
from dialogue.admin.cases.escalation import CaseCallDue
from dialogue.admin.cases.escalation_list import CallBy, Callee
from dialogue.admin.office import Office
from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.telemetry.instruments import UNMEASURED, Instruments, Reading
from dialogue.telemetry.periodic import Periodic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PERIOD_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWays:
    """Whom to call, in order, and by what."""

    callees: tuple[Callee, ...]
    mail: MailServer | None = None
    webhook: WebhookCalls = field(default_factory=WebhookCalls)

    @classmethod
    def of(cls, settings: DialogueSettings, office: Office) -> Self:
        """As the operator has set it up; raises `Misconfigured`."""
        callees = escalation_list.of(settings)
        needs_mail = any(callee.by is CallBy.MAIL for callee in callees)
        if needs_mail and (settings.smtp_url is None or settings.mail_from is None):
            raise Misconfigured("MINDGLM_ESCALATION names an e-mail: set MINDGLM_SMTP_URL and MINDGLM_MAIL_FROM too")
        if unknown := [callee.form for callee in callees if callee.form not in FORMS]:
            known = ", ".join(filter(None, FORMS))
            raise Misconfigured(f"MINDGLM_ESCALATION: no webhook has the form {unknown[0]}+; there are {known}")
        secret = settings.webhook_secret
        return cls(
            callees=callees or escalation_list.chats(office.admins),
            mail=_mail(settings) if needs_mail else None,
            webhook=WebhookCalls(secret=webhook.key(secret.get_secret_value()) if secret else None),
        )


class Escalation:
    """`call` does one round at once."""

    def __init__(
        self,
        *,
        database: Database,
        office: Office,
        ways: CallWays,
        instruments: Instruments = UNMEASURED,
        period_seconds: float = _PERIOD_SECONDS,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._office = office
        self._ways = ways
        self._clock = clock
        self._owner = uuid4()
        self._readings: list[Reading] = []
        self._is_measured = instruments is not UNMEASURED
        instruments.gauge(
            "mindglm_cases_unattended", "People in danger whom nobody of the staff attends to.", lambda: self._readings
        )
        acts = (self.call, self.count)
        self._loop = Periodic("escalation", *acts, period_seconds=period_seconds, instruments=instruments)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def call(self) -> None:
        """Call whoever is next, and send what is owed; raises `DatabaseUnavailable`."""
        with self._database.read() as session:
            is_idle = not escalation.is_anything_due(session, now=self._clock())
        if is_idle:
            return
        with self._database.begin() as session:
            escalation.call_due(session, self._office, self._ways.callees, now=self._clock())
        with self._database.begin() as session:
            calls = escalation.claim_calls(session, self._office, owner=self._owner, now=self._clock())
        for call in calls:
            self._make(call)

    def count(self) -> None:
        """For the metrics."""
        if self._is_measured:
            with self._database.read() as session:
                waiting = open_cases.unattended(session, minutes=self._office.case_minutes, now=self._clock())
            self._readings = [Reading(waiting.count)]

    def _make(self, call: CaseCallDue) -> None:
        error = self._attempt(call)
        with self._database.begin() as session:
            if error is None:
                escalation.mark_made(session, call.id, owner=self._owner, now=self._clock())
            else:
                escalation.mark_failed(session, call, owner=self._owner, error=error, now=self._clock())
        if error is None:
            log.info("case_call_made", call_id=str(call.id), rung=call.rung)
        else:
            log.error("case_call_failed", call_id=str(call.id), rung=call.rung, error=error, attempt=call.attempt)

    def _attempt(self, call: CaseCallDue) -> str | None:
        """The short name of what went wrong."""
        callee = _callee(self._ways.callees, call)
        if callee is None:
            return "not_on_the_list"
        try:
            if callee.by is CallBy.MAIL and self._ways.mail is not None:
                self._ways.mail.send(call, callee.target)
            else:
                self._ways.webhook.send(call, callee, now=self._clock())
        except webhook.CallRefused as error:
            return str(error)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that cannot be written down
            return type(error).__name__
        return None


def _callee(callees: Sequence[Callee], call: CaseCallDue) -> Callee | None:
    """None if the list has changed since."""
    callee = callees[call.rung] if call.rung < len(callees) else None
    return callee if callee is not None and callee.label == call.label else None


def _mail(settings: DialogueSettings) -> MailServer | None:
    if settings.smtp_url is None or settings.mail_from is None:
        return None
    return MailServer.parse(settings.smtp_url.get_secret_value(), sender=settings.mail_from)
