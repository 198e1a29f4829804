"""Nothing that is logged holds a secret, a token or anybody's words, whatever goes wrong."""

import logging

import pytest
import structlog

from dialogue.process.logs import configure
from dialogue.process.settings import DialogueSettings
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import WeCom
from tests.bot.wecom.wire import AES_KEY, SECRET, TOKEN
from tests.patience import until


async def test_the_log_of_a_bad_day_holds_no_secret_and_no_words(
    clinic: Clinic, wecom: WeCom, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    configure(DialogueSettings())
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    wecom.nastiness.token_calls = 4
    try:
        with structlog.testing.capture_logs() as events:
            await clinic.opens()
            for kind in ("status", "drop_before", "drop_after", 42001, 45033, -1):
                wecom.fault("kf/send_msg", kind)
                wecom.fault("kf/sync_msg", kind)
            wecom.say(PERSON, "谁也不能看到的话")
            await until(lambda: clinic.told() == ["收到：谁也不能看到的话"], seconds=30)
    finally:
        structlog.reset_defaults()
        logging.basicConfig(level=logging.WARNING, handlers=[logging.NullHandler()], force=True)
    said = repr(events) + caplog.text
    for secret in (SECRET, TOKEN, AES_KEY, "access-token-", "ENC", "谁也不能看到的话"):
        assert secret not in said, secret
    assert len(events) > 5
