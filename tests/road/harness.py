"""The real road with real processes: workers as children, and a channel in the test that writes down what it sends."""

import asyncio
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from bot.incoming.receipt import Receipt
from bot.outgoing.courier import Courier
from bot.outgoing.listener import Listener
from bot.services import BotServices
from dialogue.messages import OwedText
from dialogue.process.settings import DialogueSettings
from dialogue.storage.vault import new_secret
from dialogue.tables import Turn
from tests.builders import CHANNEL, message
from tests.ears import chinese_in
from tests.patience import wait_until
from tests.services import zygote
from tests.services.migrated import migrate

_START_SECONDS = 30.0


class Recorder:
    """A channel that only remembers, in order, what was sent to whom."""

    name = CHANNEL

    def __init__(self) -> None:
        self.sent: dict[str, list[str]] = defaultdict(list)

    async def send(self, text: OwedText) -> str | None:
        self.sent[text.address.chat_id].append(text.text)
        return None


class Worker:
    """``celery -A worker worker`` as an operator starts it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        self.process = zygote.start(
            "celery", "-A", "worker", "worker", environment={**os.environ, **environment}, log=log
        )

    def wait_ready(self) -> None:
        wait_until(lambda: self.process.poll() is not None or "worker_ready" in self.log.read_text(), _START_SECONDS)
        assert self.process.poll() is None, self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.terminate()

    def wait(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)


class Road:
    """One database, one broker; any number of workers; one channel with a courier that can come late."""

    def __init__(self, home: Path, *, broker_url: str, database_url: str | None = None, **environment: str) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.recorder = Recorder()
        secret = new_secret()
        self.environment = {
            "MINDGLM_HOME": str(home),
            "MINDGLM_BROKER_URL": broker_url,
            "MINDGLM_SECRET_KEY": secret,
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_LOG_FORMAT": "json",
            **environment,
        }
        if database_url is not None:
            self.environment["MINDGLM_DATABASE_URL"] = database_url
        self.settings = DialogueSettings(
            home=home,
            broker_url=SecretStr(broker_url),
            secret_key=SecretStr(secret),
            database_url=SecretStr(database_url) if database_url else None,
            consent="off",
            messages_per_minute=0,
        )
        migrate(database_url or f"sqlite:///{home / 'mindglm.db'}")
        self.services = BotServices.open(self.settings)
        self._workers: list[Worker] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._courier: Courier | None = None
        self._delivering: list[Any] = []

    def start_worker(self, **environment: str) -> Worker:
        """Returns when it is ready."""
        worker = self.start_worker_unready(**environment)
        worker.wait_ready()
        return worker

    def start_worker_unready(self, **environment: str) -> Worker:
        log = self.home / f"worker-{len(self._workers)}.log"
        worker = Worker({**self.environment, **environment}, log)
        self._workers.append(worker)
        return worker

    def start_courier(self) -> None:
        self._courier = Courier(
            database=self.services.database, keys=self.services.keys, sender=self.recorder, poll_seconds=0.5
        )
        listener = Listener(self.services.broker_url, CHANNEL, on_owed=self._courier.wake)
        self._delivering = [self._run(self._courier.run()), self._run(listener.run())]

    def say(self, text: str, *, who: str = "小王") -> Receipt:
        return self.services.inbox.receive_blocking(message(text, who=who))

    def answers(self, who: str = "小王") -> list[str]:
        return list(self.recorder.sent[who])

    def wait_for_answers(self, count: int, *, who: str = "小王", seconds: float = 30) -> list[str]:
        wait_until(lambda: len(self.recorder.sent[who]) >= count, seconds)
        return self.answers(who)

    def states(self) -> list[str]:
        with self.services.database.read() as session:
            return [state.value for state in session.scalars(select(Turn.state).order_by(Turn.id))]

    def close(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()
        assert chinese_in("".join(worker.log.read_text() for worker in self._workers)) == []
        if self._courier is not None:
            self._loop.call_soon_threadsafe(self._courier.stop)
            self._delivering[0].result(10)
            self._delivering[1].cancel()
        self._run(_settle()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.services.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _settle() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def road(home: Path, *, broker_url: str, database_url: str | None = None, **environment: str) -> Iterator[Road]:
    opened = Road(home, broker_url=broker_url, database_url=database_url, **environment)
    try:
        yield opened
    finally:
        opened.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


INTERRUPT = signal.SIGINT
