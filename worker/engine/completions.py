"""The part of OpenAI's protocol that a reply needs: streamed completions, with backoff while the server is busy.

ChatGLM2 models get our own rendered prompt as a plain completion, all others their server's chat template.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import httpx
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_delay,
    stop_before_delay,
    wait_exponential,
    wait_fixed,
    wait_random_exponential,
)

from worker.engine.output_collector import OutputCollector
from worker.engine.port import (
    EngineError,
    EngineFailed,
    Exchange,
    Finish,
    ModelServerUnavailable,
    ModelUnusable,
    Progress,
    PromptTooLong,
    Request,
)
from worker.engine.text import ReplyText
from worker.prompt import PromptStyle, rounds

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PromptForm = Literal["rounds", "chat"]

_CONNECT_SECONDS = 10.0
_START_SECONDS = 15.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 8.0
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_STOPS = ("[Round ", "求助者:", "求助者：")  # spares the server tokens; ReplyText knows all markers
_DATA = "data:"


class _Busy(Exception):  # never leaves this file
    """The server cannot answer now."""


class _TooLong(Exception):  # never leaves this file
    """The prompt does not fit into the model's context."""


_TRANSIENT = (_Busy, httpx.TransportError)
_NOT_OPENAI = (httpx.HTTPError, KeyError, TypeError, ValueError)
_RETRY_WAIT = wait_exponential(
    multiplier=_FIRST_PAUSE_SECONDS / 2, max=_LONGEST_PAUSE_SECONDS / 2
) + wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS / 2, max=_LONGEST_PAUSE_SECONDS / 2)
"""Doubled each time, of which the second half is random: clients that failed together do not return together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server and how to prompt it. Default `model`: the server's only one; default `form`: by the model's name."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    form: PromptForm | None = None
    style: PromptStyle = "seed"
    temperature: float = 0.8
    top_p: float = 0.8
    top_k: int = 50


class Completions:
    """One server. Lives in one event loop, from `start` to `stop`."""

    def __init__(self, server: Server, *, max_connections: int) -> None:
        self._server = server
        self._max_connections = max_connections
        self._client: httpx.AsyncClient | None = None
        self.model = server.model or ""

    @property
    def form(self) -> PromptForm:
        """Whether this model gets our rendered prompt or the server's chat template."""
        is_chatglm2 = any(name in self.model.lower() for name in ("mindglm", "chatglm2"))
        return self._server.form or ("rounds" if is_chatglm2 else "chat")

    @property
    def prompt_version(self) -> str:
        """Names the prompt format."""
        return f"rounds-{self._server.style}" if self.form == "rounds" else "chat"

    async def start(self) -> None:
        """Connect and check that the server has the model. Raises `ModelUnusable`."""
        key = self._server.api_key
        self._client = httpx.AsyncClient(
            base_url=self._server.base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # the collector enforces the deadline
            limits=httpx.Limits(max_connections=self._max_connections),
        )
        names = await self._model_names(self._client)
        if self.model and self.model not in names:
            raise ModelUnusable(f"{self._server.base_url} has no model {self.model}; it has {', '.join(names)}.")
        if not self.model and len(names) != 1:
            raise ModelUnusable(f"{self._server.base_url} has {len(names)} models; name one with MINDGLM_OPENAI_MODEL.")
        self.model = self.model or names[0]

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def reply(self, request: Request, collector: OutputCollector) -> None:
        """Stream the reply into the collector; it is always closed, with the reply or with an error."""
        try:
            await self._reply(request, collector)
        except EngineError as error:
            collector.fail(error)
        except Exception as error:  # noqa: BLE001  # the waiting caller must be told of any failure
            log.warning("completion_failed", error=type(error).__name__)
            collector.fail(EngineFailed(type(error).__name__))

    async def _reply(self, request: Request, collector: OutputCollector) -> None:
        history = list(request.history)
        while True:
            try:
                return await self._ask_until_answered(request, history, collector)
            except _TooLong:
                if not history:
                    raise PromptTooLong from None
                del history[1 if len(history) > 1 else 0]

    async def _ask_until_answered(
        self, request: Request, history: Sequence[Exchange], collector: OutputCollector
    ) -> None:
        """Ask again while the server is busy or away, up to the request's deadline."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TRANSIENT),
            stop=stop_before_delay(collector.deadline - time.monotonic()),
            wait=_RETRY_WAIT,
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    await self._ask(request, history, _Reply(collector))
        except _TRANSIENT as error:
            raise EngineFailed(type(error).__name__) from error

    async def _ask(self, request: Request, history: Sequence[Exchange], reply: "_Reply") -> None:
        if self._client is None:
            raise EngineFailed("the engine is not running")
        path, body = self._question(request, history)
        try:
            async with self._client.stream("POST", path, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    await _refuse(response)
                async for part in _parts(response):
                    if reply.add(part):
                        return
        except _TRANSIENT as error:
            if reply.has_begun:
                raise EngineFailed(type(error).__name__) from error
            raise
        reply.end()

    def _question(self, request: Request, history: Sequence[Exchange]) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": max(request.max_tokens, 1),
            "temperature": self._server.temperature,
            "top_p": self._server.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.form == "chat":
            return "chat/completions", body | {"messages": _messages(request, history)}
        pieces = rounds(history, request.text, instruction=request.instruction, style=self._server.style)
        prompt = "".join(piece.text for piece in pieces)
        return "completions", body | {"prompt": prompt, "stop": _STOPS, "top_k": self._server.top_k}

    async def _model_names(self, client: httpx.AsyncClient) -> list[str]:
        """Ask again until the server has started; raises `ModelServerUnavailable` after 15 s, or `ModelUnusable`."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_NOT_OPENAI) & retry_if_exception(lambda error: not _is_final(error)),
            stop=stop_after_delay(_START_SECONDS),
            wait=wait_fixed(_FIRST_PAUSE_SECONDS),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    response = await client.get("models")
                    response.raise_for_status()
                    return [str(model["id"]) for model in response.json()["data"]]
        except _NOT_OPENAI as error:
            reason = ModelUnusable if _is_final(error) else ModelServerUnavailable
            raise reason(
                f"{self._server.base_url} does not answer as an OpenAI server ({type(error).__name__}). "
                "Check MINDGLM_OPENAI_BASE_URL (it ends in /v1), MINDGLM_OPENAI_API_KEY and the server."
            ) from error
        raise AssertionError("tenacity either returns or raises")


class _Part(NamedTuple):
    """One event of the stream."""

    text: str
    finish_reason: str | None
    usage: dict[str, int] | None


class _Reply:
    """Builds progress from the server's events; each counts as one token until the server reports usage."""

    def __init__(self, collector: OutputCollector) -> None:
        self._collector = collector
        self._text = ReplyText()
        self._parts = 0
        self._prompt_tokens = 0
        self._finish: Finish | None = None

    @property
    def has_begun(self) -> bool:
        """Whether text was already published, which a retry would have to take back."""
        return self._parts > 0

    def add(self, part: _Part) -> bool:
        """Append an event; whether the reply is complete."""
        if part.usage is not None:
            self._prompt_tokens = part.usage.get("prompt_tokens", 0)
            self._parts = part.usage.get("completion_tokens", self._parts)
        elif part.text:
            self._parts += 1
        self._text.add(part.text)
        if part.finish_reason is not None:
            self._finish = Finish.LENGTH if part.finish_reason == "length" else Finish.STOP
        if self._text.is_stopped:
            self._finish = Finish.STOP
            self.end()
            return True
        if part.text and self._finish is None:
            self._put(self._text.shown(), None)
        return False

    def end(self) -> None:
        """The stream has ended. Raises `EngineFailed` if it ended without a finish reason."""
        if self._finish is None:
            raise EngineFailed("the server broke off")
        self._put(self._text.whole(), self._finish)

    def _put(self, text: str, finish: Finish | None) -> None:
        self._collector.put(
            Progress(text=text, prompt_tokens=self._prompt_tokens, reply_tokens=self._parts, finish=finish)
        )


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("completion_retried", error=type(error).__name__, pause_seconds=round(state.upcoming_sleep, 3))


def _is_final(error: BaseException) -> bool:
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code not in _BUSY


async def _refuse(response: httpx.Response) -> None:
    if response.status_code in _BUSY:
        raise _Busy
    said = (await response.aread()).decode(errors="replace").lower()
    if "context" in said or "too long" in said:
        raise _TooLong
    raise EngineFailed(f"the server refused the request with status {response.status_code}")


async def _parts(response: httpx.Response) -> AsyncIterator[_Part]:
    """Server-sent events up to ``[DONE]``."""
    async for line in response.aiter_lines():
        payload = line.removeprefix(_DATA).strip()
        if not line.startswith(_DATA) or not payload:
            continue
        if payload == "[DONE]":
            return
        event = json.loads(payload)
        if "error" in event:
            raise EngineFailed("the server reported an error")
        choice: dict[str, Any] = next(iter(event.get("choices") or ()), {})
        text = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
        yield _Part(text, choice.get("finish_reason"), event.get("usage"))


def _messages(request: Request, history: Sequence[Exchange]) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": request.instruction}] if request.instruction else []
    for exchange in history:
        messages.append({"role": "user", "content": exchange.text})
        messages.append({"role": "assistant", "content": exchange.reply})
    return [*messages, {"role": "user", "content": request.text}]
