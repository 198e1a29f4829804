"""`mindglm up` with channels: nothing to start but the one command, here with a WeChat."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dialogue.storage.vault import new_secret
from tests.bot.wechat.gateway import TOKEN, Gateway
from tests.patience import wait_until


@pytest.mark.e2e
def test_with_an_endpoint_and_a_token_people_on_wechat_are_answered(short_path: Path) -> None:
    log = short_path / "said"
    with Gateway(is_durable=True) as gateway, log.open("wb") as file:
        environment = {
            **os.environ,
            "MINDGLM_HOME": str(short_path / "home"),
            "MINDGLM_SECRET_KEY": new_secret(),
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_CONSENT": "off",
            "MINDGLM_WECHAT_ENDPOINT": gateway.endpoint,
            "MINDGLM_WECHAT_TOKEN": TOKEN,
        }
        up = subprocess.Popen([sys.executable, "-m", "mindglm", "up"], env=environment, stdout=file, stderr=file)
        try:
            wait_until(gateway.has_reader, 30)
            gateway.say("我睡不着")
            assert gateway.wait_for(1, seconds=30) == ["收到：我睡不着"]
            wait_until(lambda: gateway.acknowledged == ["message-1"], 10)
        finally:
            up.send_signal(signal.SIGTERM)
            status = up.wait(90)
    said = log.read_text()
    assert status == 0, said
    assert all(f"{name} " in said for name in ("broker", "worker", "wechat"))
    assert "telegram" not in said
