"""An admin ends every conversation from the chat: beside intake, in small transactions, with a word when it is done."""

import threading
from collections.abc import Callable
from uuid import UUID

import structlog

from care.texts import Texts
from dialogue.admin import steering
from dialogue.admin.office import Actor, Office
from dialogue.core import outbox, people
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import Address
from dialogue.states import DeliveryKind
from dialogue.storage.clock import Clock
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Clearing:
    """Ends all conversations in a thread of its own; what it did not reach when its process dies stays open."""

    def __init__(self, *, database: Database, office: Office, clock: Clock) -> None:
        self._database = database
        self._office = office
        self._clock = clock

    def start(self, by: Actor, person_id: UUID, to: Address, reason: str | None) -> Callable[[], None]:
        """What begins it, once the order is committed."""
        thread = threading.Thread(target=self._run, args=(by, person_id, to, reason), name="clearing", daemon=True)
        return thread.start

    def _run(self, by: Actor, person_id: UUID, to: Address, reason: str | None) -> None:
        ended_count, words = 0, "desk_reset_all_done"
        try:
            for count in steering.reset_all(self._database, self._office, by=by, reason=reason, clock=self._clock):
                ended_count += count
        except DatabaseUnavailable as error:
            log.error("clearing_stopped", ended_count=ended_count, error=str(error))  # noqa: TRY400 - no traceback
            words = "desk_reset_all_stopped"
        self._tell(person_id, to, self._office.texts, words, ended_count)

    def _tell(self, person_id: UUID, to: Address, texts: Texts, words: str, ended_count: int) -> None:
        try:
            with self._database.begin() as session:
                outbox.owe(
                    session,
                    people.key_of(session, self._office.keys, person_id),
                    person_id=person_id,
                    address=to,
                    text=texts.say(words, count=ended_count),
                    kind=DeliveryKind.NOTICE,
                    conversation_id=None,
                    now=self._clock(),
                )
        except DatabaseUnavailable as error:
            log.warning("clearing_untold", error=str(error))
