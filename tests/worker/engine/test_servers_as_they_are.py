"""Servers that call themselves OpenAI-compatible, with everything that they leave out, add, or spell otherwise."""

import gzip
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.worker.engine.builders import request
from tests.worker.engine.servers import engine_on
from worker.engine import completions
from worker.engine.openai import OpenAI
from worker.engine.port import EngineFailed, Exchange, Finish, ModelUnusable, Progress


@dataclass
class Nasty:
    """What it answers: to the question for models, and byte for byte to a request for a reply."""

    models: tuple[int, str] = (200, '{"data": [{"id": "qwen"}]}')
    stream: bytes = b""
    content_type: str | None = "text/event-stream"
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    instead: list[bytes] = field(default_factory=list)
    refuses_system: str = ""


class NastyServer(ThreadingHTTPServer):
    def __init__(self, script: Nasty) -> None:
        self.script = script
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: NastyServer

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        status, body = self.server.script.models
        self._answer(status, body.encode(), "application/json")

    def do_POST(self) -> None:
        script = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script.bodies.append(body)
        if script.statuses:
            self._answer(script.statuses.pop(0), b"", None)
            return
        for name, (status, words) in script.refuses.items():
            if name in body:
                self._answer(status, words.encode(), "application/json")
                return
        if script.refuses_system and "system" in [one["role"] for one in body["messages"]]:
            self._answer(400, script.refuses_system.encode(), None)
            return
        self._answer(200, script.instead.pop(0) if script.instead else script.stream, script.content_type)

    def _answer(self, status: int, body: bytes, content_type: str | None) -> None:
        self.send_response(status)
        if content_type is not None:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def connected(script: Nasty, **options: Any) -> AbstractContextManager[OpenAI]:
    return engine_on(NastyServer(script), **options)


def event(text: str = "", **choice: Any) -> bytes:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}, **choice}]}, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
END = event(finish_reason="stop") + DONE


def reply(stream: bytes, **options: Any) -> Progress:
    with connected(Nasty(stream=stream, **options)) as engine:
        return list(engine.stream(request()))[-1]


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (event("我\u2028在") + event("\u0085听\u2029") + event("。") + END, "我\u2028在\u0085听\u2029。"),
        (event("我\x0b在\x0c听\x1c。") + END, "我\x0b在\x0c听\x1c。"),
        (b"\xef\xbb\xbf" + event("我在听。") + END, "我在听。"),
        ((event("我在听。") + END).replace(b"\n", b"\r\n"), "我在听。"),
        ((event("我在听。") + END).replace(b"\n", b"\r"), "我在听。"),
        ((event("我在") + event("听。") + END).replace(b"\n\n", b"\n"), "我在听。"),
        ((event("我在听。") + END).replace(b"data: ", b"data:"), "我在听。"),
        (b": ping\n\nevent: message\nid: 7\nretry: 10\n" + event("我在听。") + END, "我在听。"),
        (event("我在听。") + event(finish_reason="stop").rstrip(b"\n"), "我在听。"),
        (event("我在听。") + DONE, "我在听。"),
        (event("我在", finish_reason="") + event("听。", finish_reason=None) + END, "我在听。"),
        (b'data: {"choices": [], "prompt_filter_results": []}\n\n' + event("我在听。") + END, "我在听。"),
        (event([{"type": "text", "text": "我在听。"}]) + END, "我在听。"),  # type: ignore[arg-type]  # as Mistral sends it
        (event([{"type": "thinking", "text": "想"}]) + event("我在听。") + END, "我在听。"),  # type: ignore[arg-type]  # the same
        (
            b'data: {"choices": [{"delta": {"reasoning_content": "\xe6\x83\xb3", "content": null}}]}\n\n'
            + event("我在听。")
            + END,
            "我在听。",
        ),
        (b'data: {"choices": [{"delta": {"reasoning": "\xe6\x83\xb3"}}]}\n\n' + event("我在听。") + END, "我在听。"),
        (event("", role="assistant") + event("我在听。") + END, "我在听。"),
        (b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n' + event("我在听。") + END, "我在听。"),
        (b'data: {"choices": [{"delta": "x"}], "usage": "y"}\n\n' + event("我在听。") + END, "我在听。"),
        (b'data: {"choices": {"0": 1}, "usage": [1]}\n\n' + event("我在听。") + END, "我在听。"),
        (b'data: {"choices": [], "usage": {"prompt_tokens": "3"}}\n\n' + event("我在听。") + END, "我在听。"),
        (event("我在听。") + event("别的", index=1) + END, "我在听。"),
        (event("别的", index=1) + event("我在听。", index=0) + END, "我在听。"),
        (event("我在听。", index="0") + event("别的", index="1") + END, "我在听。"),
        (b"data: ping\n\ndata: [HEARTBEAT]\n\n" + event("我在") + b"data: :\n\n" + event("听。") + END, "我在听。"),
        ('data: {"choices": {"index": 0, "delta": {"content": "我在听。"}}}\n\n'.encode() + END, "我在听。"),
        (event("我在听。") + b"data: [done]\n\n", "我在听。"),
        (event("我在", finish_reason="null") + event("听。", finish_reason="None") + END, "我在听。"),
        (
            rb'data: {"choices": [{"delta": {"content": "\ud83d"}}]}'
            b"\n\n"
            rb'data: {"choices": [{"delta": {"content": "\ude42"}}]}'
            b"\n\n" + END,
            "🙂",
        ),
        ('{"choices": [{"message": {"content": "我在听。"}, "finish_reason": "stop"}]}'.encode(), "我在听。"),
        (event({"type": "text", "text": "我在听。"}) + END, "我在听。"),  # type: ignore[arg-type]  # a part by itself
        (event(["我在", "听。"]) + END, "我在听。"),  # type: ignore[arg-type]  # parts without a type
        (event([{"type": "text", "text": {"value": "我在听。"}}]) + END, "我在听。"),  # type: ignore[arg-type]  # in an object
        (
            event("我在") + event("听。") + event(message={"content": "我在听。"}, finish_reason="stop") + DONE,
            "我在听。",
        ),
        (b'data: {"code": 0, "message": "success"}\n\n' + event("我在听。") + END, "我在听。"),
        ('{\n"choices": [\n{"message": {"content": "我在听。"},\n"finish_reason": "stop"}]\n}'.encode(), "我在听。"),
    ],
)
def test_streams_are_read_as_they_come(stream: bytes, text: str) -> None:
    end = reply(stream)
    assert (end.text, end.finish) == (text, Finish.STOP)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/octet-stream", "text/event-stream;charset=gbk"]
)
def test_a_content_type_proves_nothing(content_type: str | None) -> None:
    assert reply(event("我在听。") + END, content_type=content_type).text == "我在听。"


@pytest.mark.parametrize(
    "reason",
    [
        *("content_filter", "sensitive", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "guardrail_intervened"),
        *("content_filtered", "data_inspection_failed", "moderation"),
    ],
)
def test_a_reply_that_a_filter_broke_off_says_so(reason: str) -> None:
    assert reply(event("我") + event(finish_reason=reason) + DONE).finish is Finish.FILTERED


@pytest.mark.parametrize(
    "reason",
    ["length", "MAX_TOKENS", "max_output_tokens", "token_limit", "model_context_window_exceeded", "incomplete"],
)
def test_a_reply_that_its_length_cut_off_says_so_in_the_words_of_every_server(reason: str) -> None:
    assert reply(event("我") + event(finish_reason=reason) + DONE).finish is Finish.LENGTH


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "stop_sequence", "end_turn", "COMPLETE", "tool_calls"])
def test_a_reply_that_ended_by_itself_is_whole(reason: str) -> None:
    assert reply(event("我") + event(finish_reason=reason) + DONE).finish is Finish.STOP


def test_a_refusal_beside_the_content_is_no_reply() -> None:
    stream = b'data: {"choices": [{"delta": {"content": null, "refusal": "no"}}]}\n\n'
    assert reply(stream + END).finish is Finish.FILTERED


def test_a_question_that_a_filter_refuses_is_no_failure_of_the_server() -> None:
    refusal = (400, '{"error": {"code": "content_filter", "message": "filtered by our content management policy"}}')
    assert reply(b"", refuses={"messages": refusal}).finish is Finish.FILTERED


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        event("我"),
        b"<html>502</html>",
        b"data: {broken\n\n",
        event("我", finish_reason="network_error"),
        event("我") + event("在")[:-6] + b"\n\n" + END,
        event("我", finish_reason="abort"),
        event("我") + event(finish_reason="insufficient_system_resource"),
        event("我") + b'event: error\ndata: {"message": "out of memory"}\n\n',
        event("我") + b'event: error\ndata: {"message": "out of memory"}\n\n' + DONE,
        event("我") + b"event:error\ndata: out of memory\n\n" + DONE,
        event("我") + b'data: {"object": "error", "message": "out of memory", "code": 500}\n\n' + DONE,
        event("我") + event(finish_reason="server_error") + DONE,
        event("我") + event(finish_reason="engine_overloaded") + DONE,
    ],
)
def test_what_is_no_whole_reply_fails(stream: bytes) -> None:
    with pytest.raises(EngineFailed):
        reply(stream)


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        ("Unrecognized request argument supplied: stream_options", {"stream_options"}),
        (
            '{"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}',
            {"stream_options"},
        ),
        ("Unknown field in request", {"stream_options", "top_k"}),
    ],
)
def test_optional_fields_that_a_server_refuses_are_left_out_from_then_on(words: str, left_out: set[str]) -> None:
    script = Nasty(stream=event("我在听。") + END, refuses={"stream_options": (400, words)})
    with connected(script) as engine:
        for _ in range(2):
            assert list(engine.stream(request()))[-1].text == "我在听。"
    assert len(script.bodies) == 3
    assert not left_out & script.bodies[-1].keys()


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
        "Developer instruction is not enabled for models/gemma-3",
    ],
)
def test_where_a_model_has_no_place_for_an_instruction_it_stands_before_the_persons_words(words: str) -> None:
    script = Nasty(stream=event("我在听。") + END, refuses_system=words)
    with connected(script) as engine:
        for _ in range(2):
            assert list(engine.stream(request(instruction="你是支持者。")))[-1].text == "我在听。"
    assert len(script.bodies) == 3
    (first, *_others) = script.bodies[-1]["messages"]
    assert first["role"] == "user"
    assert first["content"].startswith("你是支持者。\n\n")


@pytest.mark.parametrize("words", ["streaming is not supported", "This model does not support stream", "不支持流式"])
def test_a_server_that_cannot_stream_answers_as_a_whole(words: str) -> None:
    whole = '{"choices": [{"message": {"content": "我在听。"}, "finish_reason": "stop"}]}'.encode()
    script = Nasty(stream=whole, refuses={"stream": (400, words)})
    with connected(script) as engine:
        assert list(engine.stream(request()))[-1].text == "我在听。"
    assert not {"stream", "stream_options"} & script.bodies[-1].keys()


@pytest.mark.parametrize(
    "error",
    [
        b'data: {"error": {"message": "rate limited", "code": 429}}\n\n',
        b'data: {"error": "overloaded"}\n\n',
        b'{"error": {"message": "upstream went away", "code": "502"}}',
        b'data: {"object": "error", "message": "busy", "code": 503}\n\n' + DONE,
        b'data: {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": null}\n\n' + DONE,
        b'data: {"detail": "Internal Server Error"}\n\n' + DONE,
        b'{"code": 1302, "msg": "busy"}',
    ],
)
def test_an_error_in_the_place_of_a_reply_is_a_spell_like_others(error: bytes) -> None:
    script = Nasty(stream=event("我在听。") + END, instead=[error])
    with connected(script) as engine:
        assert list(engine.stream(request()))[-1].text == "我在听。"


def test_a_prompt_that_is_too_long_may_be_told_in_the_place_of_a_reply() -> None:
    error = b'data: {"error": {"message": "maximum context length is 8192 tokens", "code": 400}}\n\n'
    script = Nasty(stream=event("我在听。") + END, instead=[error])
    with connected(script) as engine:
        history = (Exchange("在吗", "在"), Exchange("我睡不着", "我在听"))
        assert list(engine.stream(request(history=history)))[-1].text == "我在听。"
    assert [len(body["messages"]) for body in script.bodies] == [5, 3]


@pytest.mark.parametrize(("listed", "model"), [("qwen2.5:latest", "qwen2.5"), ("models/gemini-flash", "gemini-flash")])
def test_a_model_is_known_by_the_name_that_requests_have(listed: str, model: str) -> None:
    models = (200, json.dumps({"data": [{"id": listed}, {"id": "another"}]}))
    with connected(Nasty(models=models, stream=event("我在听。") + END), model=model) as engine:
        assert list(engine.stream(request()))[-1].text == "我在听。"


def test_the_newer_name_of_a_limit_is_used_where_a_server_asks_for_it() -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    script = Nasty(stream=event("我在听。") + END, refuses={"max_tokens": (400, words)})
    with connected(script) as engine:
        assert list(engine.stream(request()))[-1].text == "我在听。"
    assert "max_completion_tokens" in script.bodies[-1]


@pytest.mark.parametrize(
    "models", [(404, "not found"), (405, ""), (501, ""), (200, "<html>"), (200, '{"object": "x"}')]
)
def test_a_server_without_a_list_of_models_is_used_where_the_model_is_named(
    models: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "_START_SECONDS", 0.5)
    with connected(Nasty(models=models, stream=event("我在听。") + END), model="qwen") as engine:
        assert list(engine.stream(request()))[-1].text == "我在听。"
        assert engine.model_version == "openai:qwen"


def test_without_a_list_and_without_a_name_it_says_what_to_set() -> None:
    with pytest.raises(ModelUnusable, match="MINDGLM_OPENAI_MODEL"), connected(Nasty(models=(404, ""))):
        pass


@pytest.mark.parametrize(
    "models", ['[{"id": "qwen"}]', '{"models": [{"name": "qwen"}]}', '\ufeff{"data": [{"id": "qwen"}]}']
)
def test_a_list_of_models_in_another_shape_is_read(models: str) -> None:
    with connected(Nasty(models=(200, models))) as engine:
        assert engine.model_version == "openai:qwen"


def test_a_spell_of_refusals_is_outlived() -> None:
    script = Nasty(stream=event("我在听。") + END, statuses=[401, 404, 403])
    with connected(script) as engine:
        assert list(engine.stream(request()))[-1].text == "我在听。"


def test_a_server_on_this_machine_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
        monkeypatch.setenv(name, "http://127.0.0.1:9") if name != "HTTP_PROXY" else None
    assert reply(event("我在听。") + END).text == "我在听。"


def test_a_stream_that_comes_byte_by_byte_and_compressed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(self: Handler, status: int, body: bytes, content_type: str | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type or "text/plain")
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for byte in gzip.compress(body):
            self.wfile.write(bytes([byte]))

    monkeypatch.setattr(Handler, "_answer", answer)
    assert reply((event("我在听🙂。") + END).replace(b"\n", b"\r\n")).text == "我在听🙂。"
