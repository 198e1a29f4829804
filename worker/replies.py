"""Answers turns: claims what is open, has it generated, stores the replies, and handles the failure of each."""

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any

import structlog

from care import languages
from care.texts import Texts
from dialogue.core import turns
from dialogue.core.turn_claims import claim_open
from dialogue.core.turn_completions import Completion
from dialogue.core.turns import ClaimedTurn, FinishedReply
from dialogue.errors import DialogueError
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.ids import made_at
from dialogue.storage.vault import MasterKeys
from worker.completions import CompletionOutcome, CompletionWriter, write_patiently
from worker.dispatcher import Dispatcher
from worker.engine.port import Cancelled, Engine, EngineAway, EngineError, PromptTooLong
from worker.generation import Generation, ReplyPolicy
from worker.leases import Leases
from worker.meters import UNMETERED, WorkerMeters

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Replies:
    """One worker's turns, from the claim to the stored reply.

    `executor` runs one reply in each of its threads; `room` is how many turns are taken at once.
    """

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        engine: Engine,
        generation: Generation,
        leases: Leases,
        executor: Executor,
        room: int,
        texts: Texts,
        policy: ReplyPolicy,
        ring_on: Callable[[], None] = lambda: None,
        meters: WorkerMeters = UNMETERED,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._engine = engine
        self._generation = generation
        self._leases = leases
        self._texts = texts
        self._policy = policy
        self._meters = meters
        self._clock = clock
        self._dispatcher = Dispatcher(
            claim=self._claim,
            answer=self._answer,
            executor=executor,
            room=room,
            is_ready=engine.is_ready,
            ring_on=ring_on,
        )
        self._completions = CompletionWriter(
            database=database,
            owner=leases.owner,
            executor=executor,
            ended=self._stored,
            all_ended=self._look_if_more_waits,
            clock=clock,
        )

    def rung(self) -> None:
        """A ring was taken; returns when this worker may take another. Raises `DatabaseUnavailable`."""
        self._dispatcher.rung()

    def look(self) -> None:
        """Claim what is open and have it answered, if there is room. Raises `DatabaseUnavailable`."""
        self._dispatcher.look()

    def claim_no_more(self) -> None:
        """Finish the running generations and claim no more; what is open is left to the other workers."""
        self._dispatcher.claim_no_more()

    def give_all_back(self) -> None:
        """Cancel the running generations, so that other workers can claim their turns. Claims nothing after this."""
        self._dispatcher.claim_no_more()
        for turn_id in self._leases.held():
            self._engine.cancel(str(turn_id))

    def _claim(self, limit: int) -> list[ClaimedTurn]:
        with self._database.begin(is_hasty=True) as session:  # a claim that is forgotten leaves the turn open
            claimed = claim_open(
                session,
                self._keys,
                owner=self._leases.owner,
                lease_seconds=self._leases.lease_seconds,
                limit=limit,
                max_attempts=self._policy.max_attempts,
                max_turns=self._policy.window_max_turns,
                now=self._clock(),
            )
        self._leases.hold(turn.id for turn in claimed)
        for turn in claimed:
            log.info("turn_claimed", **_names(turn))
            self._meters.wait.observe(_seconds(made_at(turn.id), turn.claimed_at))
            if turn.attempt == 1:
                began_ns, ended_ns = _ns(made_at(turn.id)), _ns(turn.claimed_at)
                self._meters.traces.add("wait", turn.id, began_ns=began_ns, ended_ns=ended_ns)
        return claimed

    def _answer(self, turn: ClaimedTurn) -> None:
        """A thread's outermost frame: whatever happens, the turn's place is free in the end."""
        with structlog.contextvars.bound_contextvars(**_names(turn)):
            try:
                self._answer_or_raise(turn)
            except DialogueError as error:
                log.warning("task_failed", error=str(error))
            except Exception:
                # the thread's pool would keep the error to itself
                log.exception("task_raised")
            else:
                return
            self._end(turn)

    def _answer_or_raise(self, turn: ClaimedTurn) -> None:
        try:
            reply = self._generation.reply_to(turn)
        except Cancelled:
            self._after_cancel(turn)
        except PromptTooLong:
            self._fail(turn, "error_prompt_too_long", error="prompt_too_long")
        except EngineAway:
            self._after_outage(turn)
        except EngineError as error:
            self._after_failure(turn, error)
        else:
            self._measure(turn, reply)
            self._completions.add(Completion(turn=turn, reply=reply, preface=self._about_the_delay(turn)))
            return
        self._end(turn)

    def _stored(self, completion: Completion, outcome: CompletionOutcome) -> None:
        """`CompletionWriter` tells it; the thread may be another turn's."""
        turn, reply = completion.turn, completion.reply
        if outcome is not CompletionOutcome.NOT_STORED:
            self._meters.ended.add(outcome=outcome.value)
        if outcome is CompletionOutcome.ANSWERED:
            tokens = {"prompt_tokens": reply.prompt_tokens, "reply_tokens": reply.reply_tokens}
            log.info("turn_answered", **tokens, **_names(turn))
        elif outcome is CompletionOutcome.DISCARDED:
            log.info("reply_discarded", **_names(turn))
        self._free(turn)

    def _look_if_more_waits(self, may_be_followed: bool) -> None:  # noqa: FBT001 - a callback
        if may_be_followed or self._dispatcher.may_be_more:
            self._dispatcher.look_again()

    def _end(self, turn: ClaimedTurn) -> None:
        self._free(turn)
        self._dispatcher.look_again()

    def _free(self, turn: ClaimedTurn) -> None:
        self._meters.traces.add(
            "answer", turn.id, began_ns=_ns(turn.claimed_at), ended_ns=_ns(self._clock()), attempt=turn.attempt
        )
        self._leases.release(turn.id)
        self._dispatcher.ended()

    def _about_the_delay(self, turn: ClaimedTurn) -> str | None:
        """After an outage of hours people are told so: what they said is no longer what they are feeling."""
        hours = (self._clock() - made_at(turn.id)) / timedelta(hours=1)
        return self._texts.say("late_answer", hours=round(hours)) if hours >= 1 else None

    def _measure(self, turn: ClaimedTurn, reply: FinishedReply) -> None:
        now, claimed_at = self._clock(), turn.claimed_at
        self._meters.first_token.observe(_seconds(claimed_at, reply.first_token_at))
        self._meters.generation.observe(_seconds(claimed_at, now))
        self._meters.total.observe(_seconds(made_at(turn.id), now))
        self._meters.traces.add(
            "generate",
            turn.id,
            began_ns=_ns(claimed_at),
            ended_ns=_ns(now),
            first_token_seconds=_seconds(claimed_at, reply.first_token_at),
            prompt_tokens=reply.prompt_tokens,
            reply_tokens=reply.reply_tokens,
        )
        self._meters.prompt_tokens.add(reply.prompt_tokens)
        self._meters.reply_tokens.add(reply.reply_tokens)

    def _after_cancel(self, turn: ClaimedTurn) -> None:
        """The turn was reset, or this worker is stopping and another one shall answer it."""
        self._meters.cancelled.add()
        self._meters.ended.add(outcome="given_back")
        log.info("generation_cancelled")
        self._give_back(turn)

    def _after_outage(self, turn: ClaimedTurn) -> None:
        """Not this turn's fault: the attempt does not count."""
        log.warning("engine_away")
        self._meters.ended.add(outcome="given_back")
        self._give_back(turn)

    def _after_failure(self, turn: ClaimedTurn, error: EngineError) -> None:
        log.warning("generation_failed", error=type(error).__name__)
        if self._engine.fatal_error() is not None:  # not this turn's fault: another worker answers it
            self._dispatcher.claim_no_more()
            self._meters.ended.add(outcome="given_back")
            self._give_back(turn)
            return
        if turn.attempt >= self._policy.max_attempts:
            self._fail(turn, "error_failed", error=type(error).__name__)
            return
        self._meters.ended.add(outcome="tried_again")
        write_patiently(
            self._database,
            lambda session: turns.retry(session, turn.id, owner=self._leases.owner, now=self._clock()),
        )

    def _give_back(self, turn: ClaimedTurn) -> None:
        write_patiently(
            self._database,
            lambda session: turns.give_back(session, turn.id, owner=self._leases.owner, now=self._clock()),
        )

    def _fail(self, turn: ClaimedTurn, apology: str, *, error: str) -> None:
        words = languages.spoken(self._texts, turn.language).say(apology)
        write_patiently(
            self._database,
            lambda session: turns.fail(session, turn, words, error=error, owner=self._leases.owner, now=self._clock()),
        )
        self._meters.ended.add(outcome="failed")
        log.warning("turn_failed", error=error)


def _names(turn: ClaimedTurn) -> dict[str, Any]:
    return {"turn_id": str(turn.id), "conversation_id": str(turn.conversation_id), "attempt": turn.attempt}


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
