"""The second reader over a real server: it may raise what was found calm, and whatever else it does changes nothing."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from bot.incoming.second_reader import Endpoint, ReaderFailed, SecondReader
from care.screening import Route, Screening, Tier, screen
from care.second_reading import raised, understood
from dialogue.core.danger_course import ALARM
from dialogue.errors import Misconfigured
from dialogue.process.settings import DialogueSettings
from tests.bot.incoming.client import Client
from tests.builders import Rooms
from tests.patience import wait_until
from tests.services.http_server import running

CALM = "今天下了一点雨"
SECONDS = 0.5


class Server(ThreadingHTTPServer):
    """Answers with `content`; what it does besides is in `manner`."""

    content: str = ""
    manner: str = "answers"
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing of it in the test's output."""

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"choices": [{"message": {"content": self.server.content}}]}).encode()
        match self.server.manner:
            case "hangs":
                self.server.released.wait(10)
                return
            case "fails":
                self.send_error(500)
                return
            case "is no JSON":
                body = b"<html>busy</html>"
            case "is endless":
                body = b"x" * 200_000
            case "has no choice":
                body = b'{"choices": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + (1000 if self.server.manner == "lies of its length" else 0)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    serving = Server()
    with running(serving):
        yield serving
        serving.released.set()


@contextmanager
def reading(rooms: Rooms, server: Server) -> Iterator[Client]:
    endpoint = Endpoint(base_url=server.url, model="m", seconds=SECONDS)
    reader = SecondReader(endpoint, rooms.database, clock=rooms.clock)
    client = Client(rooms, second_reader=reader)
    reader.start()
    yield client
    reader.stop()


def told(tier: object, route: object = "self") -> str:
    return json.dumps({"tier": tier, "route": route})


def test_what_was_found_calm_is_raised_with_words_and_an_alarm(shared_rooms: Rooms, server: Server) -> None:
    server.content = told(3)
    with reading(shared_rooms, server) as client:
        assert client.says_unanswered(CALM).words == []  # nobody waits for the reader
        wait_until(lambda: client.tier is Tier.ACUTE)
        assert "120" in "\n".join(client.hears())
        assert ALARM in client.actions()
    (asked,) = server.asked
    assert CALM in asked["messages"][-1]["content"]


def test_it_never_lowers(shared_rooms: Rooms, server: Server) -> None:
    server.content = told(0, "none")
    with reading(shared_rooms, server) as client:
        client.says("我今晚就想结束自己")
        client.says("活着没意思")
        assert client.tier is Tier.ACUTE


@pytest.mark.parametrize(
    ("manner", "content"),
    [
        ("answers", "我觉得他没事"),
        ("answers", told(9)),
        ("answers", told(-1)),
        ("answers", told("3")),
        ("answers", told(True)),
        ("answers", told(3, "somewhere")),
        ("answers", '{"tier": 3'),
        ("answers", ""),
        ("hangs", told(3)),
        ("fails", told(3)),
        ("is no JSON", ""),
        ("is endless", ""),
        ("has no choice", ""),
        ("lies of its length", told(3)),
    ],
)
def test_whatever_is_no_answer_changes_nothing(shared_rooms: Rooms, server: Server, manner: str, content: str) -> None:
    server.manner, server.content = manner, content
    endpoint = Endpoint(base_url=server.url, model="m", seconds=SECONDS)
    found = None
    with suppress(ReaderFailed):
        found = endpoint.read([CALM])
    assert found is None


def test_a_reader_that_hangs_keeps_nobody_waiting_and_puts_nothing_into_the_log(
    shared_rooms: Rooms, server: Server
) -> None:
    server.manner = "hangs"
    with structlog.testing.capture_logs() as logs, reading(shared_rooms, server) as client:
        for _ in range(3):
            assert client.says(CALM).has_reply  # while the first is still being read
        wait_until(lambda: any(entry["event"] == "second_reader_failed" for entry in logs))
    assert CALM not in str(logs)


def test_without_a_server_nothing_is_different(shared_rooms: Rooms) -> None:
    reader = SecondReader(
        Endpoint(base_url="http://127.0.0.1:1/v1", model="m", seconds=SECONDS),
        shared_rooms.database,
        clock=shared_rooms.clock,
    )
    client = Client(shared_rooms, second_reader=reader)
    reader.start()
    assert client.says(CALM).has_reply
    assert client.tier is Tier.NONE
    reader.stop()


@pytest.mark.parametrize(
    ("answer", "tier", "route"),
    [
        (told(2), Tier.ACTIVE, Route.SELF),
        (f"```json\n{told(1, 'abuse')}\n```", Tier.DISTRESS, Route.ABUSE),
        (f"<think>{told(0, 'none')}</think>{told(3, 'third_party')}", Tier.ACUTE, Route.THIRD_PARTY),
    ],
)
def test_an_answer_is_understood(answer: str, tier: Tier, route: Route) -> None:
    found = understood(answer)
    assert found is not None
    assert (found.tier, found.route) == (tier, route)


@pytest.mark.parametrize("text", ["今天天气不错", "活着没意思", "我今晚就想结束自己"])
@pytest.mark.parametrize("tier", [*Tier])
def test_what_was_found_is_never_lowered(text: str, tier: Tier) -> None:
    found: Screening = screen(text)
    higher = raised(found, understood(told(int(tier))))
    assert higher is None or higher.tier > found.tier
    assert (higher is None) == (tier <= found.tier)


def test_a_url_that_is_none_is_a_sentence_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_SECOND_READER", "localhost:8000")
    with pytest.raises(Misconfigured, match="MINDGLM_SECOND_READER"):
        DialogueSettings.read()
