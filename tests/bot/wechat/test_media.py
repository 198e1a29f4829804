"""What a puppet hands over as a file, and who gets to see it."""

import base64
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from bot.channels.wechat import media
from bot.channels.wechat.media import UnknownFile
from bot.channels.wechat.puppet import PuppetTrouble
from bot.channels.wechat.reading import Form
from bot.incoming.medium_fetcher import MediumUnavailable
from bot.services import BotServices
from dialogue.states import MediumKind, MediumLoss, MediumState
from tests.bot.held import hold, settled
from tests.bot.wechat.gateway import Gateway
from tests.patience import until

LIMIT = 1000
VOICE = b"\x02#!SILK_V3" + bytes(500)


class _Files(BaseHTTPRequestHandler):
    contents: ClassVar[dict[str, bytes]] = {"/voice": VOICE, "/large": bytes(LIMIT + 1)}

    def do_GET(self) -> None:
        content = self.contents.get(self.path)
        status = 404 if content is None else 200
        if self.path == "/secret" and self.headers.get("X-Key") == "k":
            content, status = VOICE, 200
        if self.path == "/ill":
            status = 503
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own signature
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def box(**fields: Any) -> str:
    return json.dumps({"name": "a.silk", **fields})


def test_a_content_or_an_address_is_read(server: str) -> None:
    content = base64.b64encode(VOICE).decode()
    for filebox in (
        box(boxType=1, base64=content),
        box(type=1, base64=content),
        box(boxType=2, remoteUrl=f"{server}/voice"),
        box(boxType=2, url=f"{server}/voice", headers=None),
        box(boxType=2, remoteUrl=f"{server}/secret", headers={"X-Key": "k"}),
    ):
        assert media.read(filebox, LIMIT) == VOICE, filebox


@pytest.mark.parametrize(
    ("fields", "loss"),
    [
        ({"boxType": 1, "base64": base64.b64encode(bytes(LIMIT + 3)).decode()}, MediumLoss.TOO_LARGE),
        ({"boxType": 2, "remoteUrl": "{server}/large"}, MediumLoss.TOO_LARGE),
        ({"boxType": 2, "remoteUrl": "{server}/gone"}, MediumLoss.GONE),
    ],
)
def test_what_never_comes_is_lost(server: str, fields: dict[str, Any], loss: MediumLoss) -> None:
    with pytest.raises(MediumUnavailable) as refusal:
        media.read(box(**fields).replace("{server}", server), LIMIT)
    assert refusal.value.loss is loss


@pytest.mark.parametrize(
    "filebox",
    [
        "",
        "[]",
        "the file",
        '{"boxType": 6, "uuid": "x"}',
        '{"boxType": 1}',
        '{"boxType": 1, "base64": "a"}',
        '{"boxType": 2, "remoteUrl": "file:///etc/passwd"}',
        '{"boxType": 2, "remoteUrl": "http://"}',
        '{"boxType": 2, "remoteUrl": "{server}/ill"}',
        '{"boxType": 2, "remoteUrl": 7}',
        "[" * 100_000,
    ],
)
def test_what_is_odd_may_be_different_the_next_time(server: str, filebox: str) -> None:
    with pytest.raises((UnknownFile, OSError)):
        media.read(filebox.replace("{server}", server), LIMIT)


@pytest.mark.parametrize("status", ["not_found", "unimplemented", "permission_denied"])
def test_a_puppet_that_has_no_such_file_is_believed(status: str) -> None:
    assert isinstance(media.meaning(PuppetTrouble(status)), MediumUnavailable)
    assert isinstance(media.meaning(PuppetTrouble("internal")), PuppetTrouble)


@pytest.mark.parametrize(
    ("form", "kind"), [(Form.AUDIO, MediumKind.VOICE), (Form.IMAGE, MediumKind.IMAGE), (Form.VIDEO, MediumKind.VIDEO)]
)
async def test_who_answers_at_the_console_gets_what_came(
    services: BotServices, gateway: Gateway, start: Callable[..., Any], form: Form, kind: MediumKind
) -> None:
    gateway.box = box(boxType=1, base64=base64.b64encode(VOICE).decode())
    await start(gateway)
    gateway.say("在吗")
    await hold(services)
    gateway.say("<msg/>", form=form)
    row, content = await settled(services)
    assert (row.state, row.kind, content) == (MediumState.KEPT, kind, VOICE)
    await until(lambda: any("TA 能看到" in text for text in gateway.texts()))


async def test_a_message_that_the_puppet_knows_no_more_is_gone(
    services: BotServices, gateway: Gateway, start: Callable[..., Any]
) -> None:
    gateway.box = None
    await start(gateway)
    gateway.say("在吗")
    await hold(services)
    gateway.say("<msg/>", form=Form.AUDIO)
    row, _ = await settled(services)
    assert (row.state, row.loss) == (MediumState.LOST, MediumLoss.GONE)
    await until(lambda: any("没能转到咨询师那里" in text for text in gateway.texts()))
