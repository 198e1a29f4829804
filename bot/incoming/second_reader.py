"""A language model reads, off the road, what was found calm, and may raise it: our words and the alarm come later then.

One thread and a short queue: when the reader is slow or away, messages pass unread and nothing else changes.
"""

import queue
import threading
import time
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, Self

import structlog
from sqlalchemy.orm import Session

from bot.incoming import answers, danger, situation
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Rules, Situation, Text
from care import second_reading
from care.screening import Screening, Tier
from care.second_reading import SecondReading
from dialogue.core import conversations, intake, outbox
from dialogue.core.recent_words import recent_words
from dialogue.errors import DialogueError, Misconfigured
from dialogue.messages import InboundMessage
from dialogue.process.settings import DialogueSettings
from dialogue.states import DeliveryKind
from dialogue.storage.clock import Clock
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_WAITING: Final = 32  # messages; further ones pass unread
STALE_SECONDS: Final = 120.0  # what waited longer is not read any more
_MAX_ANSWER: Final = 65_536  # bytes
_STOP_SECONDS: Final = 2.0


class ReaderFailed(Exception):
    """The reader gave no answer in time, or none at all; the name of the reason, never what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible server. `seconds` bound one answer."""

    base_url: str
    model: str
    seconds: float
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: DialogueSettings) -> Self | None:
        """As the operator has set it; None without one. Raises `Misconfigured`."""
        if settings.second_reader is None:
            return None
        _httpx()
        key = settings.second_reader_api_key
        return cls(
            base_url=settings.second_reader,
            model=settings.second_reader_model,
            seconds=settings.second_reader_seconds,
            api_key=key.get_secret_value() if key is not None else None,
        )

    def read(self, said: list[str]) -> SecondReading | None:
        """What it makes of somebody's last messages. Raises `ReaderFailed`."""
        httpx, deadline = _httpx(), time.monotonic() + self.seconds
        body = {
            "model": self.model,
            "messages": second_reading.question(said),
            "temperature": 0,
            "max_tokens": 64,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reading", "schema": second_reading.SCHEMA, "strict": True},
            },
        }
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        try:
            with httpx.stream("POST", url, json=body, headers=headers, timeout=self.seconds) as response:
                response.raise_for_status()
                told = _within(response.iter_bytes(), deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReaderFailed(type(error).__name__) from None
        return second_reading.understood(_content(told))


class SecondReader:
    """Reads in a thread of its own, from `start` to `stop`."""

    def __init__(self, endpoint: Endpoint, database: Database, *, clock: Clock) -> None:
        self._endpoint = endpoint
        self._database = database
        self._clock = clock
        self._waiting: queue.Queue[_Unread] = queue.Queue(MAX_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="second-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing more is read; an answer that is awaited is not waited for."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def offer(self, rules: Rules, message: InboundMessage, receipt: Receipt) -> None:
        """Behind the commit of a message: if it was found calm, it is read when its turn comes."""
        is_calm = receipt.risk is not None and receipt.risk.tier < Tier.ACTIVE and not receipt.is_repeat
        if not is_calm or receipt.conversation_id is None:
            return
        try:
            self._waiting.put_nowait(_Unread(rules=rules, message=message, since=time.monotonic()))
        except queue.Full:
            log.warning("second_reader_busy")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                unread = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            if time.monotonic() - unread.since <= STALE_SECONDS:
                self._read_safely(unread)

    def _read_safely(self, unread: "_Unread") -> None:
        try:
            self._read(unread)
        except (ReaderFailed, DialogueError) as error:
            log.warning(
                "second_reader_failed", error=str(error) if isinstance(error, ReaderFailed) else type(error).__name__
            )
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: the next message is read all the same
            log.warning("second_reader_failed", error=type(error).__name__)

    def _read(self, unread: "_Unread") -> None:
        with self._database.begin() as session:
            before = self._load(session, unread)
            said = [*recent_words(session, before.person, now=before.now)] or [before.words.text]
        reading = self._endpoint.read(said)
        if reading is None or reading.tier is Tier.NONE:
            return
        with self._database.begin() as session:
            now = self._load(session, unread)
            screening = second_reading.raised(now.words.screening, reading)
            if screening is not None and screening.tier > now.course.tier:
                _say(now, screening)

    def _load(self, session: Session, unread: "_Unread") -> Situation:
        return situation.load(session, unread.rules, Text(), unread.message, now=self._clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unread:
    """A message that was found calm."""

    rules: Rules = field(repr=False)
    message: InboundMessage = field(repr=False)
    since: float


def _say(before: Situation, screening: Screening) -> None:
    """The course rises, the staff are alarmed, and our words follow what was answered to the message."""
    stored = intake.stored(before.session, before.person, before.message, external_id=before.message.external_id)
    if (
        stored is None
        or stored.text is None
        or before.is_held_by_a_human
        or not before.rules.gate.is_open(before.person)
    ):
        return  # erased, withdrawn, or a human reads it
    after, conversation, assessment = danger.assess(before, screening)
    if assessment.bypasses_model:
        conversations.silence(after.session, conversation.id, now=after.now)
    words = [(text, DeliveryKind.CRISIS) for text in danger.all_words(assessment)]
    part = outbox.next_part(after.session, stored.message_id)
    answers.say(after, stored.message_id, words, conversation_id=conversation.id, first_part=part)


def _within(parts: Any, deadline: float) -> bytes:
    """The body, if it comes in time and is no larger than an answer can be."""
    body = b""
    for part in parts:
        body += part
        if time.monotonic() > deadline or len(body) > _MAX_ANSWER:
            raise ReaderFailed("too_long")
    return body


def _content(body: bytes) -> str:
    import json

    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise ReaderFailed("no_answer") from None
    if not isinstance(content, str):
        raise ReaderFailed("no_answer")
    return content


def _httpx() -> ModuleType:
    """An extra: only operators with a second reader need it. Raises `Misconfigured`."""
    try:
        import httpx
    except ModuleNotFoundError:
        raise Misconfigured("MINDGLM_SECOND_READER needs httpx: pip install 'mindglm-bot[openai]'") from None
    return httpx
