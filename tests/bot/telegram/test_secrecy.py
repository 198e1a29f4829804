"""What somebody wrote is in their row, sealed, and nowhere else: in no log, message, key, figure or error."""

import json
import os
import random
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import inspect, text

from dialogue.states import TurnState
from dialogue.storage.vault import new_secret
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.ears import Ears, chinese_in, files, leaks
from tests.patience import wait_until

BEFORE = "还没有同意就说出来的心里话"
ORDINARY = "我和母亲三年没有说过话"
LONG = "长得不能再长的一段心事" * 400
DANGER = "我把药都买好了今晚就结束自己"
LATE = "那个人死前说过的一句话"
LAST = "没有人回答的最后一句话"
EDITED = "改过以后才敢说出来的话"
DECLINED = "说了不同意以后写的秘密"


@pytest.fixture
def ears(redis_url: str) -> Iterator[Ears]:
    with Ears(redis_url) as opened:
        yield opened


def test_no_word_leaves_its_row_whatever_happens(
    open_clinic: Callable[..., Clinic], telegram: Telegram, ears: Ears
) -> None:
    port = random.randrange(20_000, 60_000)
    clinic = open_clinic(
        MINDGLM_CONSENT="required",
        MINDGLM_METRICS_PORT=str(port),
        MINDGLM_SCRIPTED_DELAY_SECONDS="0.4",
        MINDGLM_LEASE_SECONDS="1",
        MINDGLM_MAX_ATTEMPTS="1",
    ).open()
    _talk(clinic, telegram)
    figures = b"".join(_figures(port + number) for number in range(2))
    assert b"mindglm_" in figures
    _fail(clinic, telegram)
    clinic.kill_adapters()

    written = [text for text in telegram.written if not text.startswith("/")]
    said = [*written, *(sent.text for chat in telegram.sent.values() for sent in chat)]
    assert {BEFORE, ORDINARY, LONG, DANGER, LATE, LAST, EDITED, DECLINED} <= set(said)
    assert leaks(said, ears.heard()) == []
    assert leaks(said, figures) == []
    assert leaks(said, files(clinic.home)) == []
    assert leaks(said, _rows(clinic)) == []
    logs = clinic.logs()
    assert "turn_answered" in logs
    assert "Traceback" not in logs
    assert chinese_in(logs) == []


def _talk(clinic: Clinic, telegram: Telegram) -> None:
    """Consent, an ordinary turn, growing replies, faults of the line, an edit, danger, and a refusal."""
    telegram.write(1, BEFORE)
    clinic.wait_for(1, 1)
    telegram.write(1, "同意")
    clinic.wait_for(1, 3)
    telegram.fault("sendMessage", 500)
    telegram.fault("sendMessage", 429)
    telegram.fault("getUpdates", "drop")
    telegram.edit(1, telegram.write(1, ORDINARY), EDITED)
    clinic.wait_for(1, 4)
    telegram.write(1, LONG)
    telegram.write(1, DANGER)
    wait_until(lambda: any("120" in words for words in telegram.texts(1)), 20)
    telegram.write(2, "/start")
    clinic.wait_for(2, 1)
    telegram.write(2, "不同意")
    telegram.write(2, DECLINED)
    clinic.wait_for(2, 3)


def _fail(clinic: Clinic, telegram: Telegram) -> None:
    """A worker is killed in mid-reply, a model repeats in its errors what it was asked, an adapter has a wrong key."""
    for who in (3, 4):
        telegram.write(who, "/start")
        clinic.wait_for(who, 1)
        telegram.write(who, "同意")
        clinic.wait_for(who, 2)
    telegram.write(3, LATE)
    wait_until(lambda: TurnState.GENERATING in clinic.turns(), 20)
    clinic.kill_workers()
    clinic.wait_for(3, 3)  # the apology
    with _talkative_model() as url:
        clinic.environment |= {"MINDGLM_ENGINE": "openai", "MINDGLM_OPENAI_BASE_URL": url}
        clinic.start_worker().wait_ready()
        telegram.write(4, LAST)
        clinic.wait_for(4, 3)
    clinic.environment["MINDGLM_SECRET_KEY"] = new_secret()
    assert clinic.start_adapter().wait(60) == os.EX_CONFIG


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, json.dumps({"data": [{"id": "mindglm"}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(400, json.dumps(asked, ensure_ascii=False).encode())

    def log_message(self, *_: object) -> None:
        """Nothing: its log is none of ours."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def _talkative_model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def _figures(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        body: bytes = answer.read()
    return body


def _rows(clinic: Clinic) -> bytes:
    with clinic.database.engine.connect() as connection:
        names = inspect(connection).get_table_names()
        rows = [str(row) for name in names for row in connection.execute(text(f'SELECT * FROM "{name}"'))]
    return "\n".join(rows).encode()
