"""The adapter on a Bot API server that somebody else wrote, so that our own loopback is not all it can talk to."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dialogue.tables import Feedback
from tests.bot.telegram.clinic import Clinic
from tests.patience import wait_until
from tests.services import node

pytestmark = pytest.mark.e2e

SERVER = Path(__file__).parent / "foreign"
TOKEN = "4242:a-token-for-the-foreign-server"
WHO = 31
PERSON = {"id": WHO, "first_name": "人", "is_bot": False}
CHAT = {"id": WHO, "first_name": "人", "type": "private"}


class Foreign:
    """telegram-test-api, seen by a person who writes to the bot."""

    def __init__(self) -> None:
        node.install(SERVER)
        self._process = subprocess.Popen(
            [shutil.which("node") or "node", "server.js"], cwd=SERVER, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._url = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"
        self.api_url = f"{self._url}/bot"

    def say(self, text: str) -> None:
        self._post("sendMessage", botToken=TOKEN, date=int(time.time()), text=text, **{"from": PERSON}, chat=CHAT)

    def press(self, data: str, message_id: int) -> None:
        message = {"message_id": message_id, "chat": CHAT, "date": int(time.time())}
        self._post("sendCallback", botToken=TOKEN, data=data, message=message, **{"from": PERSON})

    def told(self) -> list[dict[str, Any]]:
        """The bot's messages as they stand, oldest first."""
        history = self._post("getUpdatesHistory", token=TOKEN)["result"]
        return [entry for entry in history if "chat_id" in entry.get("message", {})]

    def texts(self) -> list[str]:
        return [entry["message"]["text"] for entry in self.told()]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _post(self, path: str, **fields: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._url}/{path}", json.dumps(fields).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


MORE = "。我在听，你慢慢说。想从哪里说起都可以。"
"""A reply grows by whole sentences."""


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    server = Foreign()
    yield server
    server.close()


def test_it_talks_on_a_server_of_others(foreign: Foreign, open_clinic: Callable[..., Clinic]) -> None:
    clinic = open_clinic(
        MINDGLM_TELEGRAM_API_URL=foreign.api_url,
        MINDGLM_TELEGRAM_TOKEN=TOKEN,
        MINDGLM_SCRIPTED_REPLY="{turns} 收到：{text}" + MORE,
        MINDGLM_SCRIPTED_DELAY_SECONDS="3",
    ).open()
    foreign.say("我睡不着")
    wait_until(lambda: foreign.texts()[:1] == ["0 收到：我睡不着" + MORE], 20)
    foreign.say("/help")
    wait_until(lambda: len(foreign.texts()) == 2, 10)
    foreign.say("三天了")
    wait_until(lambda: foreign.texts()[2:] == ["1 收到：三天了" + MORE], 20)
    wait_until(clinic.is_quiet, 10)

    reply = foreign.told()[0]
    up, _down = reply["message"]["reply_markup"]["inline_keyboard"][0]
    foreign.press(up["callback_data"], reply["messageId"])

    def ratings() -> list[int]:
        with clinic.database.read() as session:
            return list(session.scalars(select(Feedback.value)))

    wait_until(lambda: ratings() == [1], 10)
    assert clinic.stored() == 3
    assert "drafts_refused" in clinic.logs(), "it knows no drafts: the reply replaced a placeholder"
