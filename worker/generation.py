"""Generates a reply: the window, the engine, the cleaner and the guard. Nothing is stored here."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from care import languages
from care.guard import Guard
from care.screening import Tier
from care.texts import Texts
from dialogue.broker.signals import Signals
from dialogue.core.turns import ClaimedTurn, FinishedReply
from dialogue.storage.clock import Clock, utc_now
from dialogue.window import window_of
from worker.engine.port import Engine, EngineError, Exchange, Finish, Progress, Request
from worker.instructions import Instructions
from worker.meters import UNMETERED, TokenPace, WorkerMeters
from worker.reply_cleaner import CleanedReply, clean, ended_in_the_middle, up_to_its_last_sentence
from worker.streams import Stream

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_BROKE_OFF = "broke_off"
"""Why a reply is asked for again whose length cut it off within its first sentences."""
_FILTERED = "content_filter"
"""Why a reply is blocked that the model's server cut off: what is left of it was not meant as a whole."""


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
    is_demonstration: bool = False
    """The model is none to talk to in danger: written words answer in its place."""


class _Blocked(Exception):
    """This reply is not for the person, by the guard or because it broke off."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = ""  # as far as the engine had made it


class Generation:
    """Replies to claimed turns; called from many threads, one turn each."""

    def __init__(
        self,
        *,
        engine: Engine,
        signals: Signals,
        texts: Texts,
        guard: Guard,
        policy: ReplyPolicy,
        meters: WorkerMeters = UNMETERED,
        clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._signals = signals
        self._texts = texts
        self._guard = guard
        self._policy = policy
        self._meters = meters
        self.pace = TokenPace()
        self._clock = clock
        self._thinks_aloud = False  # this model's thoughts begin unmarked

    def reply_to(self, turn: ClaimedTurn) -> FinishedReply:
        """A blocked reply is generated once more; if that is blocked too, a written text replaces it.

        One that breaks off again is sent as far as it goes, and says so. In danger a demonstration model is not asked.
        """
        if self._policy.is_demonstration and turn.tier >= Tier.ACTIVE:
            return self._written(turn, "demonstration_in_danger")
        try:
            return self._generate(turn, may_ask_again=True)
        except _Blocked as blocked:
            self._meters.blocked.add(reason=blocked.reason)
            log.warning("reply_blocked", reason=blocked.reason)
            avoided = (blocked.reply,)
        try:
            return self._generate(turn, may_ask_again=False, avoided=avoided)
        except _Blocked as blocked:
            self._meters.blocked.add(reason=blocked.reason)
            log.warning("reply_replaced", reason=blocked.reason)
            return self._written(
                turn, "guard_replacement_in_danger" if turn.tier >= Tier.ACTIVE else "guard_replacement"
            )

    def _written(self, turn: ClaimedTurn, key: str) -> FinishedReply:
        """Words of our own, in the person's language."""
        return self._finished(languages.spoken(self._texts, turn.language).say(key))

    def _generate(self, turn: ClaimedTurn, *, may_ask_again: bool, avoided: Sequence[str] = ()) -> FinishedReply:
        request = Request(
            id=str(turn.id),
            instruction=self._policy.instructions.of(self._engine.prompt_version, tier=turn.tier),
            history=self._window(turn),
            text=turn.text,
            max_tokens=self._policy.max_tokens,
            deadline_seconds=self._policy.turn_seconds,
            affinity=str(turn.conversation_id),
            avoided=avoided,
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
                    cleaned, showable = self._checked(turn, progress, may_ask_again=may_ask_again)
                    is_finished = cleaned.is_cut or progress.finish is not None
                    if not is_finished:  # what is finished is sent at once
                        stream.show(showable)
                    text = cleaned.text
                    if cleaned.is_cut:
                        break
        if progress is None or not text:
            raise EngineError("The engine ended without any text.")
        return self._finished(text, progress, first_token_at)

    def _checked(self, turn: ClaimedTurn, progress: Progress, *, may_ask_again: bool) -> tuple[CleanedReply, str]:
        """What is for the person, and how much of it may be shown so far. Raises `_Blocked`."""
        try:
            cleaned = self._cleaned(progress, may_ask_again=may_ask_again)
            is_finished = cleaned.is_cut or progress.finish is not None
            return cleaned, self._showable(turn, cleaned.text, is_finished=is_finished)
        except _Blocked as blocked:
            blocked.reply = progress.text
            raise

    def _cleaned(self, progress: Progress, *, may_ask_again: bool) -> CleanedReply:
        """What of it is meant for the person; its end, where the length cut it off, is mended or said."""
        if progress.finish is Finish.FILTERED:
            raise _Blocked(_FILTERED)
        is_finished = progress.finish is not None
        cleaned = clean(progress.text, is_finished=is_finished, thinks_aloud=self._thinks_aloud)
        self._thinks_aloud |= cleaned.was_thinking_aloud
        if progress.finish is not Finish.LENGTH or cleaned.is_cut or not ended_in_the_middle(cleaned.text):
            return cleaned
        kept = up_to_its_last_sentence(cleaned.text)
        if kept is None and may_ask_again:
            raise _Blocked(_BROKE_OFF)
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
