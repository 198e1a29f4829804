"""Webhook mode: what Telegram posts is stored before it is answered, and only Telegram is listened to."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.patience import wait_until
from tests.services.postgres import PostgresServer

WHO = 8001


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def webhook(port: int) -> dict[str, str]:
    return {
        "MINDGLM_TELEGRAM_WEBHOOK_URL": f"http://127.0.0.1:{port}/updates",
        "MINDGLM_TELEGRAM_WEBHOOK_LISTEN": f"127.0.0.1:{port}",
    }


def post(port: int, body: str, secret: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/updates", body, {"X-Telegram-Bot-Api-Secret-Token": secret})
    status = connection.getresponse().status
    connection.close()
    return status


def test_updates_come_by_webhook_in_order(
    open_clinic: Callable[..., Clinic], telegram: Telegram, webhook: dict[str, str]
) -> None:
    clinic = open_clinic(**webhook).open()
    for number in range(5):
        telegram.write(WHO, f"第{number}句")
    wait_until(lambda: clinic.stored() == 5 and clinic.is_quiet(), 20)
    said = [line for text in telegram.texts(WHO) for line in text.removeprefix("收到：").split("\n")]
    assert said == [f"第{number}句" for number in range(5)]
    assert telegram.webhook["max_connections"] in {100, "100"}
    assert telegram.count("getUpdates") == 0


def test_a_wrong_secret_is_refused_and_nonsense_breaks_nothing(
    open_clinic: Callable[..., Clinic], telegram: Telegram, webhook: dict[str, str], port: int
) -> None:
    clinic = open_clinic(**webhook)
    clinic.start_adapter().wait_ready()
    update = {
        "update_id": 1,
        "message": {"message_id": 1, "date": 1, "text": "假的", "chat": {"id": 1, "type": "private"}},
    }
    assert post(port, json.dumps(update), "guessed") == 403
    assert post(port, json.dumps(update), "") == 403
    assert clinic.stored() == 0
    secret = telegram.webhook["secret_token"]
    assert secret
    assert secret not in clinic.logs()
    assert post(port, "{nonsense", secret) == 500
    assert post(port, json.dumps({"update_id": 2}), secret) == 200


def test_a_database_that_is_away_makes_telegram_post_again(
    telegram: Telegram, tmp_path: Path, redis_url: str, postgres_server: PostgresServer, webhook: dict[str, str]
) -> None:
    environment = {"MINDGLM_DATABASE_URL": postgres_server.url(), **webhook}
    clinic = Clinic(tmp_path / "clinic", telegram, broker_url=redis_url, **environment).open()
    try:
        telegram.write(WHO, "之前")
        clinic.wait_for(WHO, 1)
        postgres_server.kill()
        telegram.write(WHO, "断线时")
        wait_until(lambda: 503 in telegram.webhook_answers, 20)
        postgres_server.start()
        assert clinic.wait_for(WHO, 2, seconds=60) == ["收到：之前", "收到：断线时"]
    finally:
        clinic.close()


def test_two_instances_share_the_work(
    open_clinic: Callable[..., Clinic], telegram: Telegram, webhook: dict[str, str], port: int
) -> None:
    clinic = open_clinic(**webhook).open()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        second = free.getsockname()[1]
    clinic.start_adapter(MINDGLM_TELEGRAM_WEBHOOK_LISTEN=f"127.0.0.1:{second}").wait_ready()
    for number in range(20):
        telegram.webhook["url"] = f"http://127.0.0.1:{port if number % 2 else second}/updates"
        telegram.write(WHO + number % 4, f"第{number}句")
        time.sleep(0.02)
    wait_until(lambda: clinic.stored() == 20 and clinic.is_quiet(), 20)
    said = sorted(
        line
        for who in range(WHO, WHO + 4)
        for text in telegram.texts(who)
        for line in text.removeprefix("收到：").split("\n")
    )
    assert said == sorted(f"第{number}句" for number in range(20))
