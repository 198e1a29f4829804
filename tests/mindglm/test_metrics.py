"""A person is answered by real processes, and what is then said at their ports."""

import json
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.patience import wait_until
from tests.services import zygote

WHO = 770011
LABEL = re.compile(r'(\w+)="([^"]*)"')
FREE_WORDS = {"le", "model", "prompt", "version", "implementation", "major", "minor", "patchlevel"}
"""Labels that are neither ours nor of a short list: size classes, and what the software is called."""


def free_ports(count: int) -> int:
    """The first of several neighbouring ports on which nobody listens."""
    for first in range(20_000, 30_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture
def port() -> int:
    return free_ports(4)


@pytest.fixture
def clinic(tmp_path: Path, telegram: Telegram, redis_url: str, port: int) -> Iterator[Clinic]:
    opened = Clinic(
        tmp_path / "clinic",
        telegram,
        broker_url=redis_url,
        MINDGLM_METRICS_PORT=str(port),
        MINDGLM_SCRIPTED_FAIL_EVERY="2",
    )
    yield opened.open()
    opened.close()


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    server = Telegram().start()
    yield server
    server.stop()


def page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def is_ready(port: int) -> bool:
    try:
        return bool(json.loads(page(port, "/readyz"))["ready"])
    except OSError:
        return False


def sample(text: str, name: str) -> float:
    """The value of one line; 0 where there is none."""
    found = re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)
    return float(found[1]) if found else 0.0


def ask(clinic: Clinic, target: str) -> tuple[int, dict[str, object]]:
    done = zygote.run("mindglm", "health", target, environment={**os.environ, **clinic.environment})
    return done.returncode, json.loads(done.stdout)


def test_what_happened_can_be_read_at_each_process_and_names_nobody(
    clinic: Clinic, telegram: Telegram, port: int
) -> None:
    for number, text in enumerate(("我最近总是睡不好", "还是睡不好", "我想死", "/help"), start=1):
        telegram.write(WHO, text)
        clinic.wait_for(WHO, number)
    wait_until(clinic.is_quiet, 20)

    adapter = page(port + 1, "/metrics")
    assert sample(adapter, 'mindglm_messages_total{channel="telegram",outcome="turn"}') >= 2
    assert sample(adapter, 'mindglm_messages_total{channel="telegram",outcome="command"}') == 1
    assert sample(adapter, 'mindglm_deliveries_total{channel="telegram",outcome="sent"}') >= 4
    assert sample(adapter, 'mindglm_delivery_seconds_count{channel="telegram"}') >= 4
    assert sum(sample(adapter, f'mindglm_messages_screened_total{{tier="{tier}"}}') for tier in (1, 2, 3)) == 1
    wait_until(lambda: "mindglm_last_heard_seconds{" in page(port + 1, "/metrics"), 10)

    worker = page(port, "/metrics")
    assert sample(worker, 'mindglm_turns_total{outcome="answered"}') >= 2
    assert sample(worker, 'mindglm_turns_total{outcome="tried_again"}') >= 1
    assert sample(worker, "mindglm_turn_wait_seconds_count") >= 3
    assert sample(worker, "mindglm_turn_seconds_count") >= 2
    assert sample(worker, "mindglm_reply_tokens_total") > 0
    assert sample(worker, "mindglm_engine_capacity") == 32
    assert "\nmindglm_sweep_rings_total " in worker

    short_words = re.compile(r"[a-z_]{1,24}|[0-3]")
    for name, value in LABEL.findall(adapter + worker):
        assert name in FREE_WORDS or short_words.fullmatch(value), f"{name}={value!r}"
        assert str(WHO) not in value


def test_a_health_check_needs_nothing_but_our_own_command(clinic: Clinic, telegram: Telegram, port: int) -> None:
    telegram.write(WHO, "在吗")  # or it is ready only when the first poll has ended, after half a minute
    wait_until(lambda: is_ready(port + 1) and is_ready(port), 20)
    assert ask(clinic, "telegram")[0] == 0
    assert ask(clinic, "worker")[0] == 0
    status, said = ask(clinic, f"http://127.0.0.1:{port}/readyz")
    assert (status, said["ready"]) == (0, True)
    status, said = ask(clinic, "console")
    assert (status, said["ready"]) == (1, False)
    clinic.kill_adapters()
    assert ask(clinic, "telegram")[0] == 1
