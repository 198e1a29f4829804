"""The whole house around a WeChat: our gateway on node with the mock puppet, adapters and workers as real processes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

from sqlalchemy import func, select

from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import new_secret
from dialogue.tables import Delivery, Message
from tests.builders import is_quiet
from tests.ears import chinese_in
from tests.patience import wait_until
from tests.road.harness import Worker
from tests.services.migrated import migrate

GATEWAY = Path(__file__).parents[3] / "gateway"
TOKEN = "a-token-of-the-tests"
_START_SECONDS = 30.0


class Process:
    """One process of the house, to kill and to start again; what it says goes to a file."""

    def __init__(self, argv: list[str], environment: dict[str, str], log: Path, *, ready: str, cwd: Path) -> None:
        self._argv = argv
        self.environment = dict(environment)
        self._ready = ready
        self._cwd = cwd
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._lives = 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def last_log(self) -> str:
        """Of its present life."""
        return Path(f"{self._log}.{self._lives}").read_text()

    def log(self) -> str:
        return "".join(file.read_text() for file in sorted(self._log.parent.glob(f"{self._log.name}.*")))

    def start(self) -> None:
        self._lives += 1
        with Path(f"{self._log}.{self._lives}").open("wb") as log:
            self._process = subprocess.Popen(
                self._argv,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                cwd=self._cwd,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        log = Path(f"{self._log}.{self._lives}")
        wait_until(lambda: not self.is_running or self._ready in log.read_text(), _START_SECONDS)
        assert self.is_running, log.read_text()

    def kill(self) -> None:
        """kill -9"""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)


class Ward:
    """One home, one gateway, one adapter; workers come and go."""

    def __init__(self, home: Path, *, broker_url: str, **environment: str) -> None:
        home.mkdir()
        self.home = home
        self._control_port, gateway_port = _free_ports(2)
        self.sent_file = home / "sent.jsonl"
        self.environment = {
            "MINDGLM_HOME": str(home),
            "MINDGLM_BROKER_URL": broker_url,
            "MINDGLM_SECRET_KEY": new_secret(),
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_SCRIPTED_REPLY": "[{text}]",
            "MINDGLM_CONCURRENCY": "32",
            "MINDGLM_CONSENT": "off",
            "MINDGLM_MESSAGES_PER_MINUTE": "0",
            "MINDGLM_LOG_FORMAT": "json",
            "MINDGLM_WECHAT_ENDPOINT": f"127.0.0.1:{gateway_port}",
            "MINDGLM_WECHAT_TOKEN": TOKEN,
            "MINDGLM_WECHAT_MESSAGES_PER_MINUTE": "600000",
            "MINDGLM_WECHAT_PART_PAUSE_SECONDS": "0",
            **environment,
        }
        database_url = self.environment.get("MINDGLM_DATABASE_URL", sqlite_url(home / "mindglm.db"))
        migrate(database_url)
        self.database: Database = connect(database_url)
        self.gateway = Process(
            [shutil.which("node") or "node", "main.js", "--puppet", "./rehearsal.js", "--spool", str(home / "spool")],
            {
                "MINDGLM_WECHAT_TOKEN": TOKEN,
                "MINDGLM_GATEWAY_LISTEN": f"127.0.0.1:{gateway_port}",
                "REHEARSAL_PORT": str(self._control_port),
                "REHEARSAL_SENT": str(self.sent_file),
            },
            home / "gateway.log",
            ready='"login"',
            cwd=GATEWAY,
        )
        self._adapters: list[Process] = []
        self.adapter = self.another_adapter("adapter")
        self._workers: list[Worker] = []

    def open(self) -> "Ward":
        for process in (self.gateway, self.adapter):
            process.start()
        worker = self.start_worker()
        for process in (self.gateway, self.adapter):
            process.wait_ready()
        worker.wait_ready()
        return self

    def another_adapter(self, name: str, **environment: str) -> Process:
        """Not started; as from another host, if it has another name."""
        home = self.home if name == "adapter" else self.home / name
        self._adapters.append(
            Process(
                [sys.executable, "-m", "mindglm", "wechat"],
                {
                    "MINDGLM_DATABASE_URL": sqlite_url(self.home / "mindglm.db"),
                    **self.environment,
                    "MINDGLM_HOME": str(home),
                    **environment,
                },
                self.home / f"{name}.log",
                ready="wechat_ready",
                cwd=self.home,
            )
        )
        return self._adapters[-1]

    def start_worker(self) -> Worker:
        self._workers.append(Worker(self.environment, self.home / f"worker-{len(self._workers)}.log"))
        return self._workers[-1]

    def say(self, text: str, *, who: str, seconds: float = 30, **more: object) -> None:
        """Somebody writes; a WeChat that is away is told when it is back."""
        self._order("say", seconds, **{"from": who, "text": text, **more})

    def befriend(self, who: str, *, seconds: float = 30) -> None:
        """Somebody asks to be a friend."""
        self._order("befriend", seconds, **{"from": who})

    def _order(self, what: str, seconds: float, **fields: object) -> None:
        body = json.dumps(fields).encode()
        url = f"http://127.0.0.1:{self._control_port}/{what}"
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, body), timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert time.monotonic() < deadline, "the rehearsal cannot be reached"
                time.sleep(0.1)

    def wait_spooled(self) -> None:
        """Until what was said is on the gateway's disk: it reads the next request when it is done with the last."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._control_port}/sent", timeout=30):
            pass

    def answers(self) -> dict[str, list[str]]:
        """What each person was told, in order."""
        told: dict[str, list[str]] = defaultdict(list)
        with contextlib.suppress(FileNotFoundError):
            for line in self.sent_file.read_text().splitlines():
                sent = json.loads(line)
                told[sent["to"]].append(sent["text"])
        return told

    def echoes(self) -> dict[str, list[str]]:
        """The sentences that each person was answered, one after the other."""
        return {
            who: [line.strip("[]") for text in texts for line in text.splitlines()]
            for who, texts in self.answers().items()
        }

    def stored_count(self) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count(Message.id))) or 0

    def fates(self) -> list[tuple[str, str | None]]:
        """What became of each text that was owed."""
        with self.database.read() as session:
            deliveries = session.scalars(select(Delivery).order_by(Delivery.id))
            return [(delivery.state.value, delivery.error) for delivery in deliveries]

    def is_quiet(self) -> bool:
        return is_quiet(self.database)

    def close(self) -> None:
        for process in (*self._adapters, self.gateway):
            process.kill()
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()
        self.database.close()
        assert chinese_in("".join(log.read_text() for log in self.home.glob("*.log*"))) == []


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
