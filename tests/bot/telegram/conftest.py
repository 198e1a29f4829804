from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bot.telegram.clinic import Clinic, clinic
from tests.bot.telegram.loopback import Telegram


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    server = Telegram().start()
    yield server
    server.stop()


@pytest.fixture
def open_clinic(telegram: Telegram, tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Clinic]]:
    """Adapter and worker as processes on SQLite and Valkey; variables change their settings."""
    opened: list[Clinic] = []

    def open_one(**environment: str) -> Clinic:
        opened.append(clinic(tmp_path / f"clinic-{len(opened)}", telegram, broker_url=redis_url, **environment))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
