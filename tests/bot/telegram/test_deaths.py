"""`kill -9` of the adapter at each step: everything is stored, answered, in order, and nothing twice."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from dialogue.process.exit_status import ExitStatus
from tests.bot.telegram.clinic import AdapterProcess, Clinic
from tests.bot.telegram.loopback import Telegram
from tests.patience import wait_until
from tests.services import zygote

UPDATES = int(os.environ.get("TEST_TELEGRAM_UPDATES", "200"))
PEOPLE = 100


def write_all(telegram: Telegram) -> None:
    """Several messages of each person, mixed with those of others."""
    for number in range(UPDATES // PEOPLE):
        for who in range(1, PEOPLE + 1):
            telegram.write(who, f"第{number}句")


def lines_of(texts: list[str]) -> list[str]:
    """What the person had written, as the replies repeat it; messages that came together share a reply."""
    return [line for text in texts for line in text.removeprefix("收到：").split("\n")]


def assert_everybody_was_answered_once_and_in_order(clinic: Clinic, *, may_be_unknown: int = 0) -> None:
    """A text of which nobody can know whether it left is at most once, and is marked."""
    wait_until(lambda: clinic.stored() == UPDATES and clinic.is_quiet(), 60)
    expected = [f"第{number}句" for number in range(UPDATES // PEOPLE)]
    answered = {who: lines_of(clinic.telegram.texts(who)) for who in range(1, PEOPLE + 1)}
    wrong = {who: lines for who, lines in answered.items() if lines != expected}
    unknown = [error for _, error in clinic.deliveries() if error is not None]
    assert len(wrong) <= min(len(unknown), may_be_unknown), (wrong, unknown)
    assert all(sorted(set(lines)) == lines for lines in wrong.values()), wrong


class Killer:
    """Kills the adapter at a call of the Bot API, from within it."""

    def __init__(self, telegram: Telegram, method: str, *, after: int) -> None:
        self.victim: AdapterProcess | None = None
        self._method = method
        self._left = after
        telegram.on_call = self._on_call

    def _on_call(self, method: str, _fields: dict[str, Any]) -> None:
        if method == self._method and self.victim is not None:
            self._left -= 1
            if self._left == 0:
                self.victim.process.kill()

    def wait(self) -> None:
        assert self.victim is not None
        assert self.victim.process.wait(60) == -9


@pytest.fixture
def clinic(open_clinic: Callable[..., Clinic]) -> Clinic:
    clinic = open_clinic(MINDGLM_LOG_LEVEL="WARNING", MINDGLM_TELEGRAM_FEEDBACK="false")
    clinic.start_worker()
    return clinic


def test_killed_when_it_has_just_fetched(clinic: Clinic, telegram: Telegram) -> None:
    write_all(telegram)
    victim = clinic.start_adapter()
    telegram.on_fetched = lambda _ids: victim.process.kill()
    assert victim.process.wait(60) == -9
    telegram.on_fetched = lambda _ids: None
    assert len(telegram.pending) == UPDATES
    clinic.start_adapter()
    assert_everybody_was_answered_once_and_in_order(clinic)


def test_killed_while_it_stores(clinic: Clinic, telegram: Telegram) -> None:
    write_all(telegram)
    victim = clinic.start_adapter()
    wait_until(lambda: clinic.stored() > 0, 60)
    victim.kill()  # mostly with some of them stored; on a busy machine all may be by now
    clinic.start_adapter()
    assert_everybody_was_answered_once_and_in_order(clinic, may_be_unknown=1)


def test_killed_between_commit_and_acknowledgement(clinic: Clinic, telegram: Telegram) -> None:
    write_all(telegram)
    killer = Killer(telegram, "getUpdates", after=2)
    killer.victim = clinic.start_adapter()
    killer.wait()
    clinic.start_adapter()
    assert_everybody_was_answered_once_and_in_order(clinic, may_be_unknown=1)


@pytest.mark.parametrize("sent", [1, 40])
def test_killed_while_it_sends(clinic: Clinic, telegram: Telegram, sent: int) -> None:
    """One request has reached Telegram, which serves it; others are just leaving, or wait for their turn."""
    write_all(telegram)
    killer = Killer(telegram, "sendMessage", after=sent)
    killer.victim = clinic.start_adapter()
    killer.wait()
    clinic.start_adapter()
    assert_everybody_was_answered_once_and_in_order(clinic, may_be_unknown=1)


def test_killed_again_and_again(clinic: Clinic, telegram: Telegram) -> None:
    write_all(telegram)
    for seconds in (0.1, 0.4, 0.8):
        victim = clinic.start_adapter()
        wait_until(lambda: victim.process.poll() is not None or telegram.count("getUpdates") > 0, 60)  # noqa: B023 - used at once
        time.sleep(seconds)
        victim.kill()
    clinic.start_adapter()
    assert_everybody_was_answered_once_and_in_order(clinic, may_be_unknown=3)


@pytest.mark.parametrize("kind", ["telegram", "console", "worker"])
def test_a_stop_that_never_comes_ends_by_itself_says_what_it_waits_for_and_has_a_status_of_its_own(
    open_clinic: Callable[..., Clinic], kind: str
) -> None:
    clinic = open_clinic(
        MINDGLM_SHUTDOWN_SECONDS="0.2", MINDGLM_LEASE_SECONDS="1", MINDGLM_CONSOLE_LISTEN="127.0.0.1:0"
    )
    log = clinic.home / "stuck.log"
    environment = {**os.environ, **clinic.environment}
    process = zygote.start("tests.services.stuck", kind, environment=environment, log=log)
    wait_until(lambda: f"{kind}_ready" in log.read_text() or process.poll() is not None, 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == ExitStatus.STUCK, log.read_text()
    assert "stop_took_too_long" in log.read_text()


def test_stopped_gently_it_finishes_and_loses_nothing(clinic: Clinic, telegram: Telegram) -> None:
    write_all(telegram)
    stopped = clinic.start_adapter()
    wait_until(lambda: telegram.count("sendMessage") >= 5, 60)
    assert stopped.terminate() == 0
    assert not list((clinic.home / "journals").iterdir())
    clinic.start_adapter()
    assert_everybody_was_answered_once_and_in_order(clinic)
