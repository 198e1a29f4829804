"""The whole house around the loopback Bot API: one home, adapters and workers as real processes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from dialogue.core import conversations
from dialogue.states import ClosedBy, DeliveryState, TurnState
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import Conversation, Delivery, Message, Turn
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.builders import is_quiet
from tests.ears import chinese_in
from tests.patience import wait_until
from tests.road.harness import Worker
from tests.services import zygote
from tests.services.migrated import migrate

_START_SECONDS = 30.0


class AdapterProcess:
    """`mindglm telegram` as an operator starts it."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        self.process = zygote.start("mindglm", "telegram", environment={**os.environ, **environment}, log=log)

    def wait_ready(self) -> "AdapterProcess":
        wait_until(lambda: self.process.poll() is not None or "telegram_ready" in self.log.read_text(), _START_SECONDS)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds: float = 120) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)


class Clinic:
    """One home and everything that runs for it."""

    def __init__(self, home: Path, telegram: Telegram, *, broker_url: str, **environment: str) -> None:
        home.mkdir()
        self.home = home
        self.telegram = telegram
        secret = new_secret()
        self.environment = {
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "MINDGLM_HOME": str(home),
            "MINDGLM_BROKER_URL": broker_url,
            "MINDGLM_SECRET_KEY": secret,
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_CONCURRENCY": "32",
            "MINDGLM_CONSENT": "off",
            "MINDGLM_MESSAGES_PER_MINUTE": "0",
            "MINDGLM_LOG_FORMAT": "json",
            "MINDGLM_LOG_LEVEL": "DEBUG",
            "MINDGLM_TELEGRAM_TOKEN": TOKEN,
            "MINDGLM_TELEGRAM_API_URL": telegram.api_url,
            "MINDGLM_TELEGRAM_MESSAGES_PER_SECOND": "1000",
            "MINDGLM_TELEGRAM_CHAT_MESSAGES_PER_SECOND": "1000",
            **environment,
        }
        database_url = self.environment.get("MINDGLM_DATABASE_URL", sqlite_url(home / "mindglm.db"))
        migrate(database_url)
        self.database: Database = connect(database_url)
        self.keys = MasterKeys.parse(secret)
        self._adapters: list[AdapterProcess] = []
        self._dead_count = 0
        self._workers: list[Worker] = []

    def start_adapter(self, **environment: str) -> AdapterProcess:
        log = self.home / f"adapter-{self._dead_count + len(self._adapters)}.log"
        self._adapters.append(AdapterProcess({**self.environment, **environment}, log))
        return self._adapters[-1]

    def start_worker(self) -> Worker:
        self._workers.append(Worker(self.environment, self.home / f"worker-{len(self._workers)}.log"))
        return self._workers[-1]

    def open(self) -> "Clinic":
        """Adapter and worker, both ready."""
        adapter, worker = self.start_adapter(), self.start_worker()
        adapter.wait_ready()
        worker.wait_ready()
        return self

    def wait_for(self, chat_id: int, count: int, *, seconds: float = 30) -> list[str]:
        """The bot's texts in that chat, once there are so many."""
        wait_until(lambda: len(self.telegram.sent[chat_id]) >= count, seconds)
        return self.telegram.texts(chat_id)

    def stored(self) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count(Message.id))) or 0

    def turns(self) -> list[TurnState]:
        with self.database.read() as session:
            return list(session.scalars(select(Turn.state).order_by(Turn.id)))

    def deliveries(self) -> list[tuple[DeliveryState, str | None]]:
        with self.database.read() as session:
            return [(row.state, row.error) for row in session.scalars(select(Delivery).order_by(Delivery.id))]

    def is_quiet(self) -> bool:
        return is_quiet(self.database)

    def health(self) -> dict[str, Any]:
        done = zygote.run("mindglm", "telegram", "--health", environment={**os.environ, **self.environment})
        return {"status": done.returncode, **json.loads(done.stdout)}

    def end_conversations(self) -> int:
        """As an admin does, who needs no adapter for it; returns how many there were."""
        with self.database.begin() as session:
            open_ids = session.scalars(select(Conversation.id).where(Conversation.closed_at.is_(None))).all()
            for conversation_id in open_ids:
                conversations.reset(session, conversation_id, by=ClosedBy.ADMIN, now=utc_now())
        return len(open_ids)

    def logs(self) -> str:
        return "".join(log.read_text() for log in self.home.glob("*.log"))

    def kill_adapters(self) -> None:
        while self._adapters:
            self._adapters.pop().kill()
            self._dead_count += 1

    def kill_workers(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()

    def close(self) -> None:
        """Whatever a test was about, no word of it may be in a log."""
        self.kill_adapters()
        self.kill_workers()
        assert chinese_in(self.logs()) == []
        self.database.close()
