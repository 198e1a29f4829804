"""Everything that Telegram, the network and the operator can do to the adapter."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.upkeep import key_rotation
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.patience import wait_until
from tests.services.postgres import PostgresServer

WHO = 9001


def test_a_refused_token_ends_the_process_with_a_clear_word(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    adapter = open_clinic(MINDGLM_TELEGRAM_TOKEN="1:wrong", MINDGLM_TELEGRAM_REFUSAL_SECONDS="2").start_adapter()
    assert adapter.wait(60) == 78
    last = adapter.log.read_text().strip().splitlines()[-1]
    assert "MINDGLM_TELEGRAM_TOKEN" in last
    assert "1:wrong" not in adapter.log.read_text()


def test_without_a_token_it_says_which_setting_is_missing(open_clinic: Callable[..., Clinic]) -> None:
    adapter = open_clinic(MINDGLM_TELEGRAM_TOKEN="").start_adapter()
    assert adapter.wait(60) == 78
    assert "MINDGLM_TELEGRAM_TOKEN is not set" in adapter.log.read_text()


def test_a_token_that_is_revoked_while_it_runs_ends_the_process(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    adapter = open_clinic(MINDGLM_TELEGRAM_REFUSAL_SECONDS="2").start_adapter().wait_ready()
    telegram.token = "4242:a-new-one"
    telegram.push(message={})  # ends the poll that is going on
    assert adapter.wait(60) == 78


@pytest.mark.parametrize("status", [401, 404])
def test_a_spell_of_refusals_is_outlived_at_the_start_and_while_it_runs(
    open_clinic: Callable[..., Clinic], telegram: Telegram, status: int
) -> None:
    for method in ("getMe", "deleteWebhook", "getUpdates"):
        telegram.fault(method, status, count=2)
    clinic = open_clinic()
    clinic.start_adapter()
    wait_until(lambda: clinic.health()["troubles"] != [], 20)
    clinic.start_worker()
    telegram.write(WHO, "在吗")
    assert clinic.wait_for(WHO, 1, seconds=60) == ["收到：在吗"]
    telegram.fault("getUpdates", status, count=4)
    telegram.write(WHO, "还在吗")
    assert clinic.wait_for(WHO, 2, seconds=60) == ["收到：在吗", "收到：还在吗"]
    assert "token_refused" in clinic.logs()


def test_a_webhook_secret_that_telegram_would_refuse_ends_the_start_with_a_sentence(
    open_clinic: Callable[..., Clinic],
) -> None:
    webhook = {"MINDGLM_TELEGRAM_WEBHOOK_URL": "https://a.example", "MINDGLM_TELEGRAM_WEBHOOK_SECRET": "a:b"}
    adapter = open_clinic(**webhook).start_adapter()
    assert adapter.wait(60) == 78
    assert "MINDGLM_TELEGRAM_WEBHOOK_SECRET must be" in adapter.log.read_text()


def test_another_instance_is_named_and_polling_goes_on_when_it_is_gone(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic().open()
    other = clinic.start_adapter().wait_ready()
    wait_until(lambda: "another process polls with this token" in clinic.logs(), 20)
    other.terminate()
    telegram.write(WHO, "在吗")
    assert clinic.wait_for(WHO, 1, seconds=60) == ["收到：在吗"]
    telegram.write(WHO, "还在吗")
    assert clinic.wait_for(WHO, 2) == ["收到：在吗", "收到：还在吗"]


def test_errors_of_the_server_and_the_line_delay_but_lose_nothing(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic().open()
    telegram.fault("getUpdates", 500, count=1)
    telegram.fault("getUpdates", "drop", count=1)
    telegram.fault("getUpdates", "lose", count=1)
    telegram.fault("sendMessage", 500, count=1)
    telegram.fault("sendMessage", 429, count=1, retry_after=1)
    telegram.push(message={})
    telegram.write(WHO, "在吗")
    assert clinic.wait_for(WHO, 1, seconds=40) == ["收到：在吗"]
    wait_until(clinic.is_quiet, 10)
    assert telegram.texts(WHO) == ["收到：在吗"]


def test_a_text_whose_answer_is_lost_is_not_said_twice(open_clinic: Callable[..., Clinic], telegram: Telegram) -> None:
    clinic = open_clinic().open()
    telegram.fault("sendMessage", "lose")
    telegram.write(WHO, "在吗")
    wait_until(lambda: clinic.deliveries() == [("failed", "unknown")], 30)
    telegram.write(WHO, "还在吗")
    assert clinic.wait_for(WHO, 2) == ["收到：在吗", "收到：还在吗"]


def test_a_telegram_that_cannot_be_reached_at_the_start_is_waited_for(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    telegram.fault("getMe", 502)
    adapter = open_clinic().start_adapter().wait_ready()
    assert "telegram_unreachable" in adapter.log.read_text()


def test_an_update_of_a_shape_that_nobody_foresaw_is_heard_like_the_others(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    open_clinic().open()
    telegram.message(WHO, {"id": WHO, "type": "private"}, date="yesterday", text="坏的", checklist=[{"title": 7}])
    telegram.write(WHO, "在吗")
    wait_until(lambda: all(words in "".join(telegram.texts(WHO)) for words in ("坏的", "在吗")), 30)
    wait_until(lambda: telegram.pending == [], 10)


def test_somebody_known_is_not_lost_when_keys_are_rotated_behind_the_adapters_back(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic()
    clinic.start_adapter().wait_ready()
    telegram.write(WHO, "在吗")
    wait_until(lambda: clinic.stored() == 1, 10)
    both = f"{new_secret()},{clinic.environment['MINDGLM_SECRET_KEY']}"
    with clinic.database.begin() as session:
        key_rotation.rotate(session, MasterKeys.parse(both), after=key_rotation.BEGINNING, limit=10)
    telegram.write(WHO, "我想自杀")
    wait_until(lambda: any("master key" in trouble for trouble in clinic.health()["troubles"]), 20)
    assert len(telegram.pending) == 1
    clinic.environment["MINDGLM_SECRET_KEY"] = both
    clinic.kill_adapters()
    clinic.start_adapter().wait_ready()
    assert "12356" in clinic.wait_for(WHO, 1)[0]
    wait_until(lambda: telegram.pending == [], 10)


def test_a_database_that_is_away_makes_telegram_keep_what_was_said(
    telegram: Telegram, tmp_path: Path, redis_url: str, postgres_server: PostgresServer
) -> None:
    clinic = Clinic(
        tmp_path / "clinic", telegram, broker_url=redis_url, MINDGLM_DATABASE_URL=postgres_server.url()
    ).open()
    try:
        telegram.write(WHO, "之前")
        clinic.wait_for(WHO, 1)
        postgres_server.kill()
        telegram.write(WHO, "断线时")
        polls = telegram.count("getUpdates")
        wait_until(lambda: telegram.count("getUpdates") >= polls + 2, 20)
        assert len(telegram.pending) == 1
        postgres_server.start()
        assert clinic.wait_for(WHO, 2, seconds=60) == ["收到：之前", "收到：断线时"]
    finally:
        clinic.close()


def test_an_edit_replaces_words_that_wait(open_clinic: Callable[..., Clinic], telegram: Telegram) -> None:
    clinic = open_clinic()
    clinic.start_adapter().wait_ready()
    message_id = telegram.write(WHO, "今天下雨了")
    wait_until(lambda: clinic.stored() == 1, 10)
    telegram.edit(WHO, message_id, "今天没下雨")
    telegram.edit(WHO, message_id, "今天雨很大")
    wait_until(lambda: not telegram.pending, 10)
    clinic.start_worker()
    assert clinic.wait_for(WHO, 1) == ["收到：今天雨很大"]


@pytest.mark.parametrize("signal_count", [1, 2])
def test_sigterm_ends_it_quickly_while_nothing_happens(open_clinic: Callable[..., Clinic], signal_count: int) -> None:
    adapter = open_clinic().start_adapter().wait_ready()
    began_at = time.monotonic()
    for _ in range(signal_count):
        adapter.process.terminate()
    assert adapter.wait() == 0
    assert time.monotonic() - began_at < 5


def test_health_says_that_all_is_well_and_what_is_not(open_clinic: Callable[..., Clinic], telegram: Telegram) -> None:
    clinic = open_clinic()
    assert clinic.health()["troubles"] == ["no telegram adapter has run in this home"]
    adapter = clinic.start_adapter().wait_ready()
    telegram.write(WHO, "在吗")
    wait_until(lambda: clinic.stored() == 1, 10)
    wait_until(lambda: clinic.health()["status"] == 0, 15)
    report = clinic.health()["report"]
    assert report["process_id"] == adapter.process.pid
    assert report["last_heard_seconds"] < 40
    assert report["pending_updates"] is not None


def test_a_broker_that_is_away_neither_deafens_nor_silences_it(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic(MINDGLM_BROKER_URL="redis+socket:///nowhere/valkey.sock")
    clinic.start_adapter().wait_ready()
    telegram.write(WHO, "/help")
    assert "12356" in clinic.wait_for(WHO, 1, seconds=20)[0]
