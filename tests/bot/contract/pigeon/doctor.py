import socket
from collections.abc import Iterator

from bot.channels.findings import CheckResult, fail, note, ok
from tests.bot.contract.pigeon.settings import PigeonSettings


def examine(settings: PigeonSettings) -> Iterator[CheckResult]:
    if settings.pigeon_loft is None:
        yield note("pigeon_off")
        return
    host, _, port = settings.pigeon_loft.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        yield fail("pigeon_away", loft=settings.pigeon_loft)
    else:
        yield ok("pigeon", loft=settings.pigeon_loft)
