import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.services.valkey import ValkeyServer


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    server = Telegram().start()
    yield server
    server.stop()


@pytest.fixture
def open_clinic(telegram: Telegram, tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Clinic]]:
    """A house of its own for one test, on SQLite and Valkey; variables change its settings."""
    opened: list[Clinic] = []

    def open_one(**environment: str) -> Clinic:
        opened.append(Clinic(tmp_path / f"clinic-{len(opened)}", telegram, broker_url=redis_url, **environment))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def house() -> Iterator[Clinic]:
    """A running house that the tests of a module share, each with people of its own; groups are served."""
    with running_house(MINDGLM_TELEGRAM_GROUPS="true", MINDGLM_SCRIPTED_REPLY="{turns} 收到：{text}") as clinic:
        yield clinic


@pytest.fixture(scope="module")
def guarded_house() -> Iterator[Clinic]:
    """The same, where everybody is asked for consent first."""
    with running_house(MINDGLM_CONSENT="required", MINDGLM_TELEGRAM_GROUPS="true") as clinic:
        yield clinic


@contextmanager
def running_house(**environment: str) -> Iterator[Clinic]:
    """A house, broker and Bot API server of its own, running."""
    with tempfile.TemporaryDirectory(prefix="mg-") as directory:
        broker = ValkeyServer(Path(directory))
        broker.start()
        telegram = Telegram().start()
        clinic = Clinic(
            Path(directory) / "home",
            telegram,
            broker_url=broker.url,
            **environment,
        )
        clinic.open()
        yield clinic
        clinic.close()
        telegram.stop()
        broker.stop()
