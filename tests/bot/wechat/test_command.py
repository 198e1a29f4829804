"""`mindglm wechat` as an operator starts it, and wechaty as this Python imports it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dialogue.storage.vault import new_secret
from tests.bot.wechat.gateway import TOKEN, Gateway
from tests.patience import wait_until
from tests.services import zygote

WECHAT = [sys.executable, "-m", "mindglm", "wechat"]


def environment(gateway: Gateway, broker_url: str, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "MINDGLM_BROKER_URL": broker_url,
        "MINDGLM_SECRET_KEY": new_secret(),
        "MINDGLM_WECHAT_ENDPOINT": gateway.endpoint,
        "MINDGLM_WECHAT_TOKEN": TOKEN,
        **more,
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("MINDGLM_WECHAT_TOKEN", "another", marks=pytest.mark.e2e),  # half a minute passes first
        ("MINDGLM_WECHAT_TOKEN", ""),
        ("MINDGLM_WECHAT_ENDPOINT", "no port"),
    ],
)
def test_what_no_restart_mends_is_one_line_and_status_78(
    gateway: Gateway, redis_url: str, variable: str, value: str
) -> None:
    done = zygote.run("mindglm", "wechat", environment=environment(gateway, redis_url, **{variable: value}))
    assert done.returncode == os.EX_CONFIG
    assert variable in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_it_stays_while_the_gateway_comes_and_goes_and_ends_when_it_is_told_to(
    gateway: Gateway, redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(WECHAT, env=environment(gateway, redis_url), stdout=file, stderr=file)
    wait_until(lambda: "wechat_ready" in log.read_text(), 30)
    gateway.kill()
    wait_until(lambda: "wechat_connection_lost" in log.read_text(), 10)
    assert process.poll() is None
    gateway.start()
    wait_until(lambda: log.read_text().count("wechat_connection_ready") == 2, 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not (tmp_path / ".wechaty").exists()


IMPORT = """
import sys

def refuse(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo"}:
        raise RuntimeError(event)

sys.addaudithook(refuse)
import bot.channels.wechat.compat
import wechaty
print(wechaty.Wechaty.__name__)
"""


def test_wechaty_can_be_imported_and_leaves_nothing_here(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout == "Wechaty\n", done.stderr
    assert not list(tmp_path.iterdir())
