"""The `vllm` engine over stand-ins (`stand_in.py`), as a test of one thing starts it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.engine.completions import Server
from worker.engine.port import Request
from worker.vllm import command
from worker.vllm.engine import Deployment, Vllm
from worker.vllm.replica import Launch, Patience
from worker.vllm.route import ADDRESS

STAND_IN = [sys.executable, "-I", "-S", str(Path(__file__).with_name("stand_in.py"))]
QUICK = Patience(look=0.02, health=0.1, unwell=0.5, progress=0.05, grace=0.5, first_pause=0.02, start=60)


class Encoder:
    """Ids of characters."""

    version = "rounds-seed"

    def ids(self, request: Request) -> list[int]:
        return [ord(letter) for letter in request.text]


@dataclass
class Servers:
    """What the stand-ins shall do, and what they did; `moods` are told to one start after the other."""

    directory: Path
    moods: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        (self.directory / "moods.json").write_text(json.dumps(self.moods))

    def launch(self, name: str = "vllm-0") -> Launch:
        return Launch(
            name=name,
            argv=lambda port: command.argv(
                STAND_IN, self.directory, port=port, context=512, dtype="auto", gpus=(), extra=self.extra
            ),
            environment=lambda key: {**command.environment(key, ()), "STAND_IN": str(self.directory)},
            log=self.directory / f"{name}.log",
        )

    def starts(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.directory.glob("start-*.json"))]

    def asked(self, number: int) -> list[dict[str, Any]]:
        """What the start of this number was asked."""
        file = self.directory / f"asked-{number}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def engine(self, *, count: int = 1, patience: Patience = QUICK) -> Vllm:
        server = Server(base_url=ADDRESS, model="MindGLM", prompter=Encoder())
        launches = [self.launch(f"vllm-{number}") for number in range(count)]
        return Vllm(
            lambda: Deployment(version="tiny@1", server=server, launches=launches), capacity=4, patience=patience
        )

    @contextmanager
    def running(self, **options: Any) -> Iterator[Vllm]:
        engine = self.engine(**options)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()


def is_alive(process_id: int) -> bool:
    """Whether it still runs; one that ended and was not asked for its status yet does not."""
    try:
        os.kill(process_id, 0)
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
