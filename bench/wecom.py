"""The road through WeCom: from a person's words until they have the answer, and the memory of an adapter.

    python -m bench.wecom                    # SQLite and a private Valkey
    python -m bench.wecom --postgres --json

WeCom is the loopback server without its nastiness; adapter and worker are processes of their own, and the model answers
at once. So the time is the notice, its commit, the pull, the message, the turn and the sending. `notice_ms` is how long
the callback takes, `refusal_ms` what a wrong signature costs there; `..._cpu_ms` is the processor's time for a turn.
"""

import hashlib
from dataclasses import asdict
from functools import partial
from typing import Any

from bench import tencent
from tests.bot.wecom import wire
from tests.bot.wecom.loopback import Nastiness, WeCom
from tests.bot.wecom.rehearsal import wecom_environment

_WRONG = hashlib.sha1(b"wrong").hexdigest().encode()


def run(*, count: int, is_postgres: bool) -> dict[str, Any]:
    """Start everything, let one person talk, and stop; times in milliseconds."""
    wecom = WeCom(nastiness=Nastiness.calm()).start()
    environment = {**wecom_environment(wecom), "MINDGLM_WECOM_PULL_SECONDS": "300"}
    try:
        with tencent.running("wecom", wecom, environment, person="wmBENCH", is_postgres=is_postgres) as running:
            measured = asdict(running.measure(count))
            encrypted = wire.encrypt(wire.notice("wkNOBODY", "ENC", at=1))
            notice_ms = tencent.request_ms(f"{wecom.callback_url}?{wire.query(encrypted)}", wire.envelope(encrypted))
    finally:
        wecom.stop()
    is_signed = partial(
        wire.cipher().is_signed, _WRONG, timestamp=b"1796000000", nonce=b"1372623149", encrypted=encrypted.encode()
    )
    return {**measured, "notice_ms": notice_ms, "refusal_ms": tencent.each_ms(is_signed)}


if __name__ == "__main__":
    tencent.main(__doc__ or "", run)
