"""The part of OpenAI's protocol that a reply needs: streamed completions, with backoff while the server is busy.

ChatGLM2 models get our own rendered prompt as a plain completion, all others their server's chat template.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import aiohttp
import httpx
import structlog
from httpx_aiohttp import AiohttpTransport
from pydantic import SecretStr
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

from dialogue.process.proxies import choose
from worker.engine.event_stream import ReportedError, StreamEvent, parts
from worker.engine.optional_fields import OptionalFields
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

AFFINITY = "affinity"
"""The extension of a request that tells a transport to which conversation it belongs."""

_CONNECT_SECONDS = 10.0
_START_SECONDS = 15.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 8.0
_BUSY = frozenset({401, 403, 404, 408, 425, 429, *range(500, 600)} - {501, 505})
"""Asked again until the request's deadline: also 401 and 404, which gateways say while they are ill."""
_FINAL_AT_START = frozenset({400, 401, 403, 404, 405, 410, 501})
_WITHOUT_LIST = frozenset({400, 403, 404, 405, 410, 501})
"""What servers without a list of models answer to the question for it."""
_LENGTH_WORDS = (
    *("context", "too long", "too large", "too many tokens", "input length", "prompt length", "token limit"),
    *("maximum length", "input tokens exceed", "prompt tokens", "上下文", "过长", "超长", "超过模型"),
)
_FILTER_WORDS = ("content_filter", "content management policy", "content_policy", "sensitive content")
_STOPS = ("[Round ", "求助者:", "求助者：")  # spares the server tokens; ReplyText knows all markers


class _Busy(Exception):  # never leaves this file
    """The server cannot answer now."""


class _Again(_Busy):  # never leaves this file
    """The server does not know an optional field: the same question goes without it."""


class _TooLong(Exception):  # never leaves this file
    """The prompt does not fit into the model's context."""


_TRANSIENT = (_Busy, httpx.TransportError, aiohttp.ClientError)
_NOT_OPENAI = (httpx.HTTPError, aiohttp.ClientError, KeyError, TypeError, ValueError)
_RETRY_WAIT = wait_exponential(
    multiplier=_FIRST_PAUSE_SECONDS / 2, max=_LONGEST_PAUSE_SECONDS / 2
) + wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS / 2, max=_LONGEST_PAUSE_SECONDS / 2)
"""Doubled each time, of which the second half is random: clients that failed together do not return together."""


class Encoder(Protocol):
    """Renders and encodes the prompts of a model whose tokenizer is here."""

    @property
    def version(self) -> str:
        """Names the prompt format."""

    def ids(self, request: Request) -> list[int]:
        """The prompt's ids. Raises `PromptTooLong`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server and how to prompt it. Default `model`: the server's only one; default `form`: by the model's name."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    proxy: SecretStr | None = None
    model: str | None = None
    form: PromptForm | None = None
    style: PromptStyle = "seed"
    temperature: float = 0.8
    top_p: float = 0.8
    top_k: int = 50
    prompter: "Encoder | None" = field(default=None, repr=False)  # a server of our own model gets ids
    transport: Callable[[], httpx.AsyncBaseTransport] | None = field(default=None, repr=False)


def connections(max_connections: int) -> AiohttpTransport:
    """The way to a server without a proxy: aiohttp's, whose requests take a third of the time of httpx's own.

    Errors that it has no name for stay aiohttp's.
    """
    return AiohttpTransport(trust_env=False, limits=httpx.Limits(max_connections=max_connections))


class Completions:
    """One server. Lives in one event loop, from `start` to `stop`."""

    def __init__(self, server: Server, *, max_connections: int) -> None:
        self._server = server
        self._max_connections = max_connections
        self._client: httpx.AsyncClient | None = None
        self._optional = OptionalFields()
        self.model = server.model or ""

    @property
    def form(self) -> PromptForm:
        """Whether this model gets our rendered prompt or the server's chat template."""
        is_chatglm2 = any(name in self.model.lower() for name in ("mindglm", "chatglm2"))
        return self._server.form or ("rounds" if is_chatglm2 else "chat")

    @property
    def prompt_version(self) -> str:
        """Names the prompt format."""
        if self._server.prompter is not None:
            return self._server.prompter.version
        return f"rounds-{self._server.style}" if self.form == "rounds" else "chat"

    async def start(self) -> None:
        """Connect and check that the server has the model. Raises `ModelUnusable`, `Misconfigured`."""
        key = self._server.api_key
        proxy = choose(self._server.base_url, self._server.proxy, variable="MINDGLM_OPENAI_PROXY")
        self._client = httpx.AsyncClient(
            proxy=proxy.url if proxy is not None else None,
            trust_env=False,
            base_url=self._server.base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # the collector enforces the deadline
            transport=self._transport() if proxy is None else None,
            limits=httpx.Limits(max_connections=self._max_connections),
        )
        names = await self._model_names(self._client)
        if names is None:
            return
        if self.model and not any(_is_named(self.model, name) for name in names):
            raise ModelUnusable(f"{self._server.base_url} has no model {self.model}; it has {', '.join(names)}.")
        if not self.model and len(names) != 1:
            raise ModelUnusable(f"{self._server.base_url} has {len(names)} models; name one with MINDGLM_OPENAI_MODEL.")
        self.model = self.model or names[0]

    def _transport(self) -> httpx.AsyncBaseTransport:
        return self._server.transport() if self._server.transport is not None else connections(self._max_connections)

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
        body = self._optional.of(body)
        try:
            route = {AFFINITY: request.affinity}
            async with self._client.stream("POST", path, json=body, extensions=route) as response:
                if response.status_code != httpx.codes.OK:
                    said = b"" if response.status_code in _BUSY else await response.aread()
                    self._refuse(response.status_code, said.decode(errors="replace"), reply)
                    return
                async for part in parts(response.aiter_bytes()):
                    if reply.add(part):
                        return
        except ReportedError as error:
            if reply.has_begun:
                raise
            self._refuse(error.status, error.said, reply)
            return
        except _TRANSIENT as error:
            if reply.has_begun:
                raise EngineFailed(type(error).__name__) from error
            raise
        reply.end()

    def _refuse(self, status: int, said: str, reply: "_Reply") -> None:
        """Raises what the server means, or ends the reply where it is its content filter that speaks.

        `status` 0: it said so where the reply was to come.
        """
        if status in _BUSY:
            raise _Busy
        said = said.lower()
        if any(words in said for words in _FILTER_WORDS):
            reply.add(StreamEvent("", Finish.FILTERED))
            reply.end()
            return
        if any(words in said for words in _LENGTH_WORDS):
            raise _TooLong
        if self._optional.take_back(status, said):
            raise _Again
        if not status:
            raise _Busy
        raise EngineFailed(f"the server refused the request with status {status}")

    def _question(self, request: Request, history: Sequence[Exchange]) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": max(request.max_tokens, 1),
            "temperature": self._server.temperature,
            "top_p": self._server.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._server.prompter is not None:
            return "completions", body | {"prompt": self._server.prompter.ids(request), "top_k": self._server.top_k}
        if self.form == "chat":
            return "chat/completions", body | {"messages": _messages(request, history)}
        pieces = rounds(history, request.text, instruction=request.instruction, style=self._server.style)
        prompt = "".join(piece.text for piece in pieces)
        return "completions", body | {"prompt": prompt, "stop": _STOPS, "top_k": self._server.top_k}

    async def _model_names(self, client: httpx.AsyncClient) -> list[str] | None:
        """Ask again until the server has started; None if it has no such list and the settings name the model.

        Raises `ModelServerUnavailable` after 15 s, or `ModelUnusable`.
        """
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
                    return _names(response.json())
        except _NOT_OPENAI as error:
            if self.model and _has_no_list(error):
                log.info("model_list_missing")
                return None
            reason = ModelUnusable if _is_final(error) else ModelServerUnavailable
            raise reason(
                f"{self._server.base_url} does not answer as an OpenAI server ({type(error).__name__}). "
                "Check MINDGLM_OPENAI_BASE_URL (it ends in /v1), MINDGLM_OPENAI_API_KEY and the server; "
                "if it has no list of models, name the model with MINDGLM_OPENAI_MODEL."
            ) from error
        raise AssertionError("tenacity either returns or raises")


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

    def add(self, part: StreamEvent) -> bool:
        """Append an event; whether the reply is complete."""
        if part.prompt_tokens is not None or part.reply_tokens is not None:
            self._prompt_tokens = part.prompt_tokens or self._prompt_tokens
            self._parts = part.reply_tokens or self._parts
        elif part.text:
            self._parts += 1
        self._text.add(part.text)
        self._finish = self._finish or part.finish
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
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _FINAL_AT_START


def _has_no_list(error: BaseException) -> bool:
    """It answers, and something else than a list."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _WITHOUT_LIST
    return not isinstance(error, httpx.HTTPError | aiohttp.ClientError)


def _is_named(model: str, listed: str) -> bool:
    """Also where a list has the newest of several under a tag, or a folder before the name that requests have."""
    return listed in {model, f"{model}:latest"} or listed.endswith(f"/{model}")


def _names(answer: Any) -> list[str]:
    """Also of servers that send a bare list, or call it by another name. Raises `ValueError` for anything else."""
    models = answer if isinstance(answer, list) else answer.get("data") or answer.get("models")
    if not isinstance(models, list):
        raise ValueError("no list of models")  # noqa: TRY004 - its caller takes both alike
    return [str(one.get("id") or one.get("name") or one.get("model")) for one in models if isinstance(one, dict)]


def _messages(request: Request, history: Sequence[Exchange]) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": request.instruction}] if request.instruction else []
    for exchange in history:
        messages.append({"role": "user", "content": exchange.text})
        messages.append({"role": "assistant", "content": exchange.reply})
    return [*messages, {"role": "user", "content": request.text}]
