"""The road through an Official Account: from a person's words until they have the answer, and the memory of an adapter.

    python -m bench.oa                       # SQLite and a private Valkey
    python -m bench.oa --postgres --json

WeChat is the loopback server without its nastiness; adapter and worker are processes of their own, and the model
answers at once. `p50_ms` is that of a verified account, which answers by a message; `passive_p50_ms` that of another,
in the answer to the push. `push_ms` is how long a push takes, `refusal_ms` what a wrong signature costs.
"""

import hashlib
import time
from dataclasses import asdict
from functools import partial
from typing import Any

from bench import tencent
from tests.bot.oa import wire
from tests.bot.oa.loopback import Nastiness, OfficialAccount
from tests.bot.oa.rehearsal import oa_environment

_WRONG = hashlib.sha1(b"wrong").hexdigest().encode()
_PERSON = "oBENCH"


def run(*, count: int, is_postgres: bool) -> dict[str, Any]:
    """Start everything, let one person talk, and stop; once for each way of answering. Times in milliseconds."""
    verified, push_ms = _measure(count, is_postgres=is_postgres, is_verified=True)
    passive, _ = _measure(count, is_postgres=is_postgres, is_verified=False)
    encrypted = wire.encrypt(wire.document(_push("1"))).encode()
    is_signed = partial(
        wire.cipher().is_signed, _WRONG, timestamp=b"1796000000", nonce=b"1372623149", encrypted=encrypted
    )
    return {
        **asdict(verified),
        "passive_p50_ms": passive.p50_ms,
        "passive_p95_ms": passive.p95_ms,
        "passive_mib": passive.adapter_mib,
        "push_ms": push_ms,
        "refusal_ms": tencent.each_ms(is_signed),
    }


def _measure(count: int, *, is_postgres: bool, is_verified: bool) -> tuple[tencent.Measured, float]:
    account = OfficialAccount(nastiness=Nastiness.calm(), is_verified=is_verified).start()
    try:
        with tencent.running(
            "oa", account, oa_environment(account), person=_PERSON, is_postgres=is_postgres
        ) as running:
            measured = running.measure(count)
            timestamp = str(int(time.time()))
            encrypted = wire.encrypt(wire.document(_push(timestamp)))
            url = f"{account.callback_url}?{wire.query(encrypted, timestamp=timestamp)}"
            return measured, tencent.request_ms(url, wire.envelope(encrypted)) if is_verified else 0.0
    finally:
        account.stop()


def _push(at: str) -> dict[str, str]:
    return {
        "ToUserName": wire.ACCOUNT,
        "FromUserName": _PERSON,
        "CreateTime": at,
        "MsgType": "text",
        "Content": "你好",
        "MsgId": "23000000000000001",
    }


if __name__ == "__main__":
    tencent.main(__doc__ or "", run)
