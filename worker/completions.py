"""Stores replies: those that are finished while others are being stored go together, in the next transaction."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from dialogue.core.turn_completions import Completion, Stored, complete, complete_held
from dialogue.errors import DatabaseUnavailable
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_DATABASE_RETRY_SECONDS = 60.0
_MAX_TOGETHER = 64
T = TypeVar("T")


class CompletionOutcome(StrEnum):
    """What became of a finished reply."""

    ANSWERED = "answered"  # it is stored and owed
    DISCARDED = "discarded"  # the turn was lost, or its conversation ended
    NOT_STORED = "not_stored"  # the database was away for too long: the lease ends, and a worker answers anew


class CompletionWriter:
    """The first thread that comes stores for all who come meanwhile; those go away at once.

    `ended` is told the outcome of each. `all_ended` follows the last of them, and is told whether a turn of their
    conversations is known to wait, or may wait.
    """

    def __init__(
        self,
        *,
        database: Database,
        owner: UUID,
        executor: Executor,
        ended: Callable[[Completion, CompletionOutcome], None],
        all_ended: Callable[[bool], None],
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._owner = owner
        self._executor = executor
        self._ended = ended
        self._all_ended = all_ended
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[Completion] = []
        self._is_storing = False

    def add(self, completion: Completion) -> None:
        """Store it, or leave it to the thread that stores."""
        with self._lock:
            self._waiting.append(completion)
            if self._is_storing:
                return
            self._is_storing = True
        may_be_followed = False
        while together := self._next():
            may_be_followed |= self._store(together)
        self._all_ended(may_be_followed)

    def _next(self) -> list[Completion]:
        with self._lock:
            together = self._waiting[:_MAX_TOGETHER]
            del self._waiting[:_MAX_TOGETHER]
            self._is_storing = bool(together)
            return together

    def _store(self, together: Sequence[Completion]) -> bool:
        """Whose row somebody else has locked, or whose values are at fault, holds up nobody else.

        Returns whether a turn of these conversations may wait.
        """
        try:
            stored = self._retrying(lambda session: complete_held(session, together, **self._by_us()))
        except DatabaseUnavailable as error:
            log.warning("replies_not_stored", count=len(together), error=str(error))
            for completion in together:
                self._ended(completion, CompletionOutcome.NOT_STORED)
            return True
        except SQLAlchemyError as error:
            log.warning("replies_stored_one_by_one", count=len(together), error=type(error).__name__)
            stored = Stored()
        for completion in together:
            if completion.turn.id in stored.turn_ids:
                self._ended(completion, CompletionOutcome.ANSWERED)
            else:
                self._executor.submit(self._store_alone, completion)
        return stored.is_followed

    def _store_alone(self, completion: Completion) -> None:
        outcome = CompletionOutcome.NOT_STORED
        try:
            delivery_id = self._retrying(lambda session: complete(session, completion, **self._by_us()))
            outcome = CompletionOutcome.DISCARDED if delivery_id is None else CompletionOutcome.ANSWERED
        except DatabaseUnavailable as error:
            log.warning("replies_not_stored", count=1, error=str(error))
        except SQLAlchemyError as error:
            log.error("replies_not_stored", count=1, error=type(error).__name__)  # noqa: TRY400 - it may hold texts
        finally:
            self._ended(completion, outcome)
        self._all_ended(True)

    def _by_us(self) -> dict[str, Any]:
        return {"owner": self._owner, "now": self._clock()}

    def _retrying(self, use_case: Callable[[Session], T]) -> T:
        return write_patiently(self._database, use_case, is_hasty=True)  # nothing is sent before a courier's claim


def write_patiently(database: Database, use_case: Callable[[Session], T], *, is_hasty: bool = False) -> T:
    """Retry while the database is down, as the reply is finished; the fence makes a late write harmless."""
    with (
        suppress(DatabaseUnavailable),
        database.begin(is_hasty=is_hasty) as session,
    ):  # tenacity costs half as much as a transaction
        return use_case(session)
    retrying = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        stop=stop_after_delay(_DATABASE_RETRY_SECONDS),
        wait=wait_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
    for attempt in retrying:
        with attempt, database.begin(is_hasty=is_hasty) as session:
            return use_case(session)
    raise AssertionError("tenacity either returns or raises")
