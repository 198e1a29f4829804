"""Random bytes and mutated envelopes at the Official Account's callback: no 500, no growing memory, nothing logged.

    python -m tests.bot.oa.storm --count 1000000

Prints how many requests of each status there were, the memory before and after, and what a refusal costs.
"""

import asyncio
import sys
import time
from collections.abc import Mapping

from bot.channels.oa.callback import OaCallback
from bot.channels.oa.desk import Answer, Thanks
from tests.bot.oa import wire
from tests.bot.wecom import storm

_TEXT = {
    "ToUserName": wire.ACCOUNT,
    "FromUserName": "oPerson0001",
    "CreateTime": "1796000000",
    "MsgType": "text",
    "Content": "你好",
    "MsgId": "24000000000000001",
}


class OaStorm(storm.Storm):
    """The same before an Official Account, with pushes in clear among them."""

    path = "/oa"

    def signed(self, plain: bytes) -> tuple[str, bytes]:
        return self._sealed(wire.encrypt(plain))

    def _sealed(self, encrypted: str) -> tuple[str, bytes]:
        return wire.query(encrypted, timestamp=str(int(time.time()))), wire.envelope(encrypted)

    def usual(self) -> bytes:
        return wire.document(_TEXT)


class _Ground:
    """Takes everything, and complains of nothing."""

    async def take(self, _fields: Mapping[str, str], _hung_up: asyncio.Event) -> Answer:
        return Thanks()

    def misread(self) -> None:
        """The storm knows the token."""

    def in_clear(self) -> None:
        """Anybody may write that."""

    def stale(self, _seconds: float) -> None:
        """It lasts for longer than ten minutes."""

    def understood(self) -> None:
        """Some of it is ours."""


async def _run(count: int, seed: int) -> int:
    ground = _Ground()
    return await storm.run(count, seed, OaCallback(wire.cipher(), ground, trouble=ground), OaStorm)


if __name__ == "__main__":
    sys.exit(storm.main(_run))
