"""The same promises over a server; the server here is real HTTP on the loopback, with a script instead of a model."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import httpx
import pytest

from dialogue.errors import Misconfigured
from tests.patience import wait_until
from tests.services.http_server import running
from tests.worker.engine.builders import request
from tests.worker.engine.servers import engine_on
from worker.engine.choose import build
from worker.engine.completions import Server
from worker.engine.openai import OpenAI
from worker.engine.port import (
    Cancelled,
    DeadlineExceeded,
    EngineFailed,
    Exchange,
    Finish,
    ModelUnusable,
    Progress,
    PromptTooLong,
)
from worker.settings import WorkerSettings


@dataclass
class Script:
    """What the server says: `failures` first (a status and a body each), then `parts` as a stream."""

    models: list[str] = field(default_factory=lambda: ["MindGLM"])
    parts: list[str] = field(default_factory=lambda: ["你", "好", "。"])
    finish: str | None = "stop"
    failures: list[tuple[int, str]] = field(default_factory=list)
    pause_seconds: float = 0.0
    key: str | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)


class ScriptedServer(ThreadingHTTPServer):
    """Follows a script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """OpenAI's protocol, as a server speaks it."""

    server: ScriptedServer

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        script = self.server.script
        if script.key is not None and self.headers["Authorization"] != f"Bearer {script.key}":
            self._answer(401, "")
        else:
            self._answer(200, json.dumps({"data": [{"id": name} for name in script.models]}))

    def do_POST(self) -> None:
        script = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script.asked.append((self.path, body))
        if script.failures:
            self._answer(*script.failures.pop(0))
            return
        self.send_response(200)
        self.end_headers()
        try:
            self._stream(script, is_chat="messages" in body)
        except OSError:
            script.hung_up.set()

    def _stream(self, script: Script, *, is_chat: bool) -> None:
        for part in script.parts:
            time.sleep(script.pause_seconds)
            self._send({"choices": [{"delta": {"content": part}} if is_chat else {"text": part}]})
        if script.finish is None:
            return
        self._send({"choices": [{"text": "", "delta": {}, "finish_reason": script.finish}]})
        self._send({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def connected(script: Script, **options: Any) -> AbstractContextManager[OpenAI]:
    return engine_on(ScriptedServer(script), **options)


def last(engine: OpenAI, **changes: object) -> Progress:
    return list(engine.stream(request(**changes)))[-1]  # type: ignore[arg-type]  # fields of a request


def test_mindglm_gets_our_own_prompt_as_a_plain_completion() -> None:
    script = Script()
    with connected(script) as engine:
        end = last(engine, text="累", history=[Exchange("早", "早上好")], instruction="你好,")
        assert (engine.model_version, engine.prompt_version) == ("openai:MindGLM", "rounds-seed")
    assert (end.text, end.finish, end.prompt_tokens, end.reply_tokens) == ("你好。", Finish.STOP, 9, 3)
    path, body = script.asked[0]
    assert path == "/v1/completions"
    assert body["prompt"] == (
        "[Round 1]\n\n问：你好,求助者:早。支持者:\n\n答：早上好\n\n[Round 2]\n\n问：求助者:累。支持者:\n\n答："
    )
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0.8, 0.8, 50)


def test_other_models_get_their_chat_template_with_the_instruction_as_system_message() -> None:
    script = Script(models=["qwen"])
    with connected(script) as engine:
        assert last(engine, text="累", history=[Exchange("早", "早上好")], instruction="你好").text == "你好。"
    path, body = script.asked[0]
    assert path == "/v1/chat/completions"
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]


def test_the_reply_grows() -> None:
    with connected(Script(parts=list("我在这里听你说"), pause_seconds=0.02)) as engine:
        seen = list(engine.stream(request()))
    assert len(seen) > 2
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(seen))


def test_an_invented_turn_is_cut_off() -> None:
    with connected(Script(parts=["好。", "求助", "者:", "我"])) as engine:
        end = last(engine)
    assert (end.text, end.finish) == ("好。", Finish.STOP)


def test_a_reply_at_its_limit_says_so() -> None:
    with connected(Script(finish="length")) as engine:
        assert last(engine).finish is Finish.LENGTH


def test_cancelling_closes_the_connection() -> None:
    script = Script(parts=["好"] * 500, pause_seconds=0.02)
    with connected(script) as engine, ThreadPoolExecutor(1) as pool:
        reply = pool.submit(last, engine)
        wait_until(lambda: bool(script.asked))
        engine.cancel("a")
        with pytest.raises(Cancelled):
            reply.result(1)
        assert script.hung_up.wait(5)


def test_closing_early_closes_the_connection() -> None:
    script = Script(parts=["好"] * 500, pause_seconds=0.02)
    with connected(script) as engine:
        stream = engine.stream(request())
        next(stream)
        stream.close()
        assert script.hung_up.wait(5)


def test_a_slow_server_exceeds_the_deadline() -> None:
    script = Script(pause_seconds=5)
    with connected(script) as engine, pytest.raises(DeadlineExceeded):
        last(engine, deadline_seconds=0.1)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    script = Script(failures=[(status, "")] * 2)
    with connected(script) as engine:
        assert last(engine).text == "你好。"
    assert len(script.asked) == 3


def test_a_server_that_stays_busy_fails_before_the_deadline() -> None:
    with connected(Script(failures=[(503, "")] * 99)) as engine, pytest.raises(EngineFailed):
        last(engine, deadline_seconds=1.0)


def test_a_stream_that_breaks_off_fails_and_is_not_begun_again() -> None:
    script = Script(finish=None)
    with connected(script) as engine, pytest.raises(EngineFailed):
        last(engine)
    assert len(script.asked) == 1


def test_history_goes_until_the_prompt_fits() -> None:
    too_long = (400, json.dumps({"error": {"message": "maximum context length is 4096 tokens"}}))
    script = Script(models=["qwen"], failures=[too_long] * 2)
    history = [Exchange("一", "甲"), Exchange("二", "乙"), Exchange("三", "丙")]
    with connected(script) as engine:
        assert last(engine, history=history).text == "你好。"
    kept = [message["content"] for message in script.asked[-1][1]["messages"]]
    assert kept == ["一", "甲", "你好"]


def test_words_that_never_fit_are_too_long() -> None:
    too_long = (400, json.dumps({"error": {"message": "maximum context length is 4096 tokens"}}))
    with connected(Script(failures=[too_long] * 9)) as engine, pytest.raises(PromptTooLong):
        last(engine)


def test_a_refusal_never_repeats_what_was_asked() -> None:
    with connected(Script(failures=[(422, "我很累")])) as engine, pytest.raises(EngineFailed) as refused:
        last(engine, text="我很累")
    assert "我很累" not in str(refused.value)


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        (Script(models=["a", "b"]), {}, "2 models"),
        (Script(), {"model": "other"}, "no model other"),
        (Script(key="right"), {"api_key": "wrong"}, "MINDGLM_OPENAI_API_KEY"),
    ],
)
def test_a_server_that_does_not_fit_is_refused_at_the_start(script: Script, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelUnusable, match=said), connected(script, **options):
        pass


def test_the_key_is_sent_and_never_shown() -> None:
    with connected(Script(key="right"), api_key="right") as engine:
        assert last(engine).text == "你好。"
    assert "right" not in repr(Server(base_url="http://h/v1", api_key="right"))


def test_stopping_cancels_what_is_open() -> None:
    script = Script(parts=["好"] * 500, pause_seconds=0.02)
    with connected(script) as engine, ThreadPoolExecutor(1) as pool:
        reply = pool.submit(last, engine)
        wait_until(lambda: bool(script.asked))
        engine.stop()
        with pytest.raises(Cancelled):
            reply.result(1)


def test_the_settings_build_it() -> None:
    with running(ScriptedServer(Script())) as url:
        engine = build(WorkerSettings(engine="openai", openai_base_url=url, openai_model="MindGLM", concurrency=3))
        engine.start()
        assert (engine.capacity, engine.model_version) == (3, "openai:MindGLM")
        engine.stop()
    with pytest.raises(Misconfigured, match="BASE_URL"):
        build(WorkerSettings(engine="openai"))


class SwallowsOne(httpx.AsyncBaseTransport):
    """Takes the first cancellation for a fault of its own, as clean-up code of client libraries has done."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.ended = threading.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/models"):
            return httpx.Response(200, json={"data": [{"id": "qwen"}]})
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        try:
            await asyncio.sleep(3600)
        finally:
            self.ended.set()
        raise AssertionError("slept for an hour")


@pytest.fixture
def stuck() -> SwallowsOne:
    return SwallowsOne()


@contextmanager
def reading(transport: SwallowsOne) -> Iterator[OpenAI]:
    """A reader that waits for the server; leaving the block, it has to have heard that it was cancelled."""
    engine = OpenAI(Server(base_url="http://127.0.0.1:9/v1", transport=lambda: transport), capacity=1)
    engine.start()
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(lambda: list(engine.stream(request(id="swallowed"))))
        assert transport.asked.wait(10)
        yield engine
        with pytest.raises(Cancelled):
            read.result(10)


def test_a_request_that_swallows_the_first_cancellation_gives_its_connection_back(stuck: SwallowsOne) -> None:
    with reading(stuck) as engine:
        engine.cancel("swallowed")
    assert stuck.ended.wait(10)
    engine.stop()


def test_a_stop_does_not_wait_for_a_request_that_swallows_its_cancellation(stuck: SwallowsOne) -> None:
    with reading(stuck) as engine:
        engine.stop()
    assert stuck.ended.is_set()
