"""Answers turns: claim, trim the window, generate, complete; and handles the failure of each."""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from care import languages
from care.guard import Guard
from care.screening import Tier
from care.texts import Texts
from dialogue.broker.signals import Signals
from dialogue.core import turns
from dialogue.core.turns import ClaimedTurn, FinishedReply
from dialogue.errors import DatabaseUnavailable
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.ids import made_at
from dialogue.storage.vault import MasterKeys
from dialogue.window import window_of
from worker.engine.port import (
    Cancelled,
    Engine,
    EngineAway,
    EngineError,
    Exchange,
    Finish,
    Progress,
    PromptTooLong,
    Request,
)
from worker.instructions import Instructions
from worker.leases import Leases
from worker.meters import UNMETERED, TokenPace, WorkerMeters
from worker.reply_cleaner import CleanedReply, clean, ended_in_the_middle, up_to_its_last_sentence
from worker.streams import Stream

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_DATABASE_RETRY_SECONDS = 60.0
_FILTERED = "content_filter"
"""Why a reply is blocked that the model's server cut off: what is left of it was not meant as a whole."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPolicy:
    """Limits of a reply. Lengths in characters, `max_tokens` in tokens.

    `instruction` is what the window counts, whichever instruction the model gets: the policy is the seed's.
    """

    instruction: str
    instructions: Instructions = field(default_factory=Instructions)
    window_max_length: int
    window_max_turns: int
    max_tokens: int
    turn_seconds: float
    max_attempts: int


class _Blocked(Exception):
    """The guard rejected this reply."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Replies:
    """Answers conversations; called from many threads, one conversation each."""

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        engine: Engine,
        leases: Leases,
        signals: Signals,
        texts: Texts,
        guard: Guard,
        policy: ReplyPolicy,
        meters: WorkerMeters = UNMETERED,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._engine = engine
        self._leases = leases
        self._signals = signals
        self._texts = texts
        self._guard = guard
        self._policy = policy
        self._meters = meters
        self.pace = TokenPace()
        self._clock = clock
        self._stopping = threading.Event()
        self._thinks_aloud = False  # this model's thoughts begin unmarked

    def answer(self, conversation_id: UUID) -> None:
        """Answer the waiting turns of a conversation, if any, one by one. Raises `DatabaseUnavailable`.

        A worker that is stopping, or whose engine is away, leaves them to the fallback poll.
        """
        while not self._stopping.is_set() and self._engine.is_ready():
            turn = self._claim(conversation_id)
            if turn is None:
                return
            with structlog.contextvars.bound_contextvars(
                turn_id=str(turn.id), conversation_id=str(conversation_id), attempt=turn.attempt
            ):
                self._answer_turn(turn)

    def give_all_back(self) -> None:
        """Cancel the running generations, so that other workers can claim their turns. Claims nothing after this."""
        self._stopping.set()
        for turn_id in self._leases.held():
            self._engine.cancel(str(turn_id))

    def claim_no_more(self) -> None:
        """Finish the running generations and claim no more."""
        self._stopping.set()

    def _claim(self, conversation_id: UUID) -> ClaimedTurn | None:
        with self._database.begin() as session:
            return turns.claim(
                session,
                self._keys,
                conversation_id,
                owner=self._leases.owner,
                lease_seconds=self._leases.lease_seconds,
                max_turns=self._policy.window_max_turns,
                now=self._clock(),
            )

    def _answer_turn(self, turn: ClaimedTurn) -> None:
        log.info("turn_claimed")
        claimed_at = self._clock()
        self._meters.wait.observe(_seconds(made_at(turn.id), claimed_at))
        if turn.attempt == 1:
            self._meters.traces.add("wait", turn.id, began_ns=_ns(made_at(turn.id)), ended_ns=_ns(claimed_at))
        with self._leases.kept(turn.id), self._meters.traced(turn.id, turn.attempt):
            try:
                reply = self._generate_guarded(turn)
            except Cancelled:
                self._after_cancel(turn)
            except PromptTooLong:
                self._fail(turn, "error_prompt_too_long", error="prompt_too_long")
            except EngineAway:
                self._after_outage(turn)
            except EngineError as error:
                self._after_failure(turn, error)
            else:
                self._complete(turn, reply, claimed_at)

    def _generate_guarded(self, turn: ClaimedTurn) -> FinishedReply:
        """A blocked reply is generated once more; if that is blocked too, a written text replaces it."""
        try:
            return self._generate(turn)
        except _Blocked as blocked:
            self._meters.blocked.add(reason=blocked.reason)
            log.warning("reply_blocked", reason=blocked.reason)
        try:
            return self._generate(turn)
        except _Blocked as blocked:
            self._meters.blocked.add(reason=blocked.reason)
            log.warning("reply_replaced", reason=blocked.reason)
            key = "guard_replacement_in_danger" if turn.tier >= Tier.ACTIVE else "guard_replacement"
            return self._finished(languages.spoken(self._texts, turn.language).say(key))

    def _generate(self, turn: ClaimedTurn) -> FinishedReply:
        request = Request(
            id=str(turn.id),
            instruction=self._policy.instructions.of(self._engine.prompt_version, tier=turn.tier),
            history=self._window(turn),
            text=turn.text,
            max_tokens=self._policy.max_tokens,
            deadline_seconds=self._policy.turn_seconds,
            affinity=str(turn.conversation_id),
        )
        stream = Stream(self._signals, turn)
        first_token_at = None
        progress = None
        token_count = 0
        text = ""
        with closing(self._engine.stream(request)) as replying:
            for progress in replying:
                first_token_at = first_token_at or self._clock()
                self.pace.add(progress.reply_tokens - token_count)
                token_count = progress.reply_tokens
                if stream.is_due or progress.finish is not None:
                    cleaned = self._cleaned(progress)
                    is_finished = cleaned.is_cut or progress.finish is not None
                    stream.show(self._showable(turn, cleaned.text, is_finished=is_finished))
                    text = cleaned.text
                    if cleaned.is_cut:
                        break
        if progress is None or not text:
            raise EngineError("The engine ended without any text.")
        return self._finished(text, progress, first_token_at)

    def _cleaned(self, progress: Progress) -> CleanedReply:
        """What of it is meant for the person; its end, where the length cut it off, is mended or said."""
        if progress.finish is Finish.FILTERED:
            raise _Blocked(_FILTERED)
        is_finished = progress.finish is not None
        cleaned = clean(progress.text, is_finished=is_finished, thinks_aloud=self._thinks_aloud)
        self._thinks_aloud |= cleaned.was_thinking_aloud
        if progress.finish is not Finish.LENGTH or cleaned.is_cut or not ended_in_the_middle(cleaned.text):
            return cleaned
        kept = up_to_its_last_sentence(cleaned.text)
        return replace(cleaned, text=kept or f"{cleaned.text}……\n{self._texts.say('reply_cut_off')}")

    def _showable(self, turn: ClaimedTurn, text: str, *, is_finished: bool) -> str:
        verdict = self._guard.judge(text, is_finished=is_finished, said=turn.text, is_strict=turn.needs_care)
        if verdict.blocked is not None:
            raise _Blocked(verdict.blocked)
        return text[: verdict.showable]

    def _finished(
        self, text: str, progress: Progress | None = None, first_token_at: datetime | None = None
    ) -> FinishedReply:
        return FinishedReply(
            text=text,
            prompt_tokens=progress.prompt_tokens if progress else 0,
            reply_tokens=progress.reply_tokens if progress else 0,
            first_token_at=first_token_at or self._clock(),
            model_version=self._engine.model_version,
            prompt_version=self._engine.prompt_version,
        )

    def _window(self, turn: ClaimedTurn) -> list[Exchange]:
        window = window_of(
            turn.history,
            instruction=self._policy.instruction,
            max_length=self._policy.window_max_length,
            max_turns=self._policy.window_max_turns,
        )
        return [Exchange(past.text, past.reply) for past in window]

    def _complete(self, turn: ClaimedTurn, reply: FinishedReply, claimed_at: datetime) -> None:
        self._measure(turn, reply, claimed_at)
        preface = self._about_the_delay(turn)
        delivery_id = self._write(
            lambda session: turns.complete(
                session, turn, reply, preface=preface, owner=self._leases.owner, now=self._clock()
            )
        )
        if delivery_id is None:
            self._meters.ended.add(outcome="discarded")
            log.info("reply_discarded")
            return
        self._meters.ended.add(outcome="answered")
        log.info("turn_answered", prompt_tokens=reply.prompt_tokens, reply_tokens=reply.reply_tokens)

    def _about_the_delay(self, turn: ClaimedTurn) -> str | None:
        """After an outage of hours people are told so: what they said is no longer what they are feeling."""
        hours = (self._clock() - made_at(turn.id)) / timedelta(hours=1)
        return self._texts.say("late_answer", hours=round(hours)) if hours >= 1 else None

    def _measure(self, turn: ClaimedTurn, reply: FinishedReply, claimed_at: datetime) -> None:
        now = self._clock()
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
        self._write(lambda session: turns.give_back(session, turn.id, owner=self._leases.owner, now=self._clock()))

    def _after_outage(self, turn: ClaimedTurn) -> None:
        """Not this turn's fault: the attempt does not count."""
        log.warning("engine_away")
        self._meters.ended.add(outcome="given_back")
        self._write(lambda session: turns.give_back(session, turn.id, owner=self._leases.owner, now=self._clock()))

    def _after_failure(self, turn: ClaimedTurn, error: EngineError) -> None:
        log.warning("generation_failed", error=type(error).__name__)
        if self._engine.fatal_error() is not None:  # not this turn's fault: another worker answers it
            self._stopping.set()
            self._meters.ended.add(outcome="given_back")
            self._write(lambda session: turns.give_back(session, turn.id, owner=self._leases.owner, now=self._clock()))
            return
        if turn.attempt >= self._policy.max_attempts:
            self._fail(turn, "error_failed", error=type(error).__name__)
            return
        self._meters.ended.add(outcome="tried_again")
        self._write(lambda session: turns.retry(session, turn.id, owner=self._leases.owner, now=self._clock()))

    def _fail(self, turn: ClaimedTurn, apology: str, *, error: str) -> None:
        words = languages.spoken(self._texts, turn.language).say(apology)
        self._write(
            lambda session: turns.fail(session, turn, words, error=error, owner=self._leases.owner, now=self._clock())
        )
        self._meters.ended.add(outcome="failed")
        log.warning("turn_failed", error=error)

    def _write(self, use_case: Callable[[Session], T]) -> T:
        """Retry while the database is down, as the reply is finished; the fence makes a late write harmless."""
        retrying = Retrying(
            retry=retry_if_exception_type(DatabaseUnavailable),
            stop=stop_after_delay(_DATABASE_RETRY_SECONDS),
            wait=wait_exponential(multiplier=0.1, max=2),
            reraise=True,
        )
        for attempt in retrying:
            with attempt, self._database.begin() as session:
                return use_case(session)
        raise AssertionError("tenacity either returns or raises")


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
